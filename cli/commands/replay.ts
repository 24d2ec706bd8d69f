import { MillraceError, type ShmManager } from '../../index.js'
import { type Command, EXIT_LOST, factor, UsageError } from '../command.js'
import { pause } from '../follow.js'
import { interrupted } from '../interrupted.js'
import { codecOf, thingOf, thingsIn, type Things } from '../place.js'
import { withProgress } from '../progress.js'
import { setHeader } from '../recording/header.js'
import { type Played, RecordingReader } from '../recording/reader.js'
import { takePart } from '../take-part.js'
import { plural } from '../units.js'

/** Sends what was recorded. */
export const replay: Command = {
  name: 'replay',
  parameters: ['<file>', '<domain>/<queue|topic>'],
  options: {
    speed: { value: '<n>', summary: 'so many times as fast as it was recorded; Infinity: without pauses; default: 1' },
  },
  summary: 'send the messages of a recording with the pauses that they had; says INCOMPLETE if some are not in it',
  async run({ positionals: [path, place], where, json, values }) {
    const { domain, name } = thingOf(place!)
    const speed = factor('speed', values['speed']) ?? 1
    using shm = takePart(domain, where, 'replay')
    const things = thingsIn(shm.registry.snapshot(), name)
    const recording = new RecordingReader(path!)
    const signal = interrupted()
    let sent = 0
    const work = async () => {
      const timing = new Timing(speed)
      for await (const message of recording.messages()) {
        checkCodec(recording.codec, codecOf((things.queue ?? things.topic)!), place!)
        await timing.wait(message, signal)
        if (!(await send(shm, things, message, signal))) break
        sent++
      }
    }
    await withProgress(() => `${plural(sent, 'message')} sent to ${place}`, work())
    const { missed, cut } = recording.is
    const complete = !signal.aborted && cut === null && missed === 0
    const told = { domain, name, file: path, sent, missed, cut, interrupted: signal.aborted, complete }
    if (json) console.log(JSON.stringify(told))
    else console.log(`${path}: ${plural(sent, 'message')} sent${whyIncomplete(told)}`)
    return cut === null && (missed ?? 0) === 0 ? 0 : EXIT_LOST
  },
}

/** When messages are due. */
class Timing {
  readonly #speed: number
  readonly #started = performance.now()
  #first: bigint | undefined

  constructor(speed: number) {
    this.#speed = speed
  }

  /** Waits until `message` is due. */
  async wait({ at }: Played, signal: AbortSignal): Promise<void> {
    this.#first ??= at
    const due = Number(at - this.#first) / 1e6 / this.#speed
    const left = due - (performance.now() - this.#started)
    // Timers are of whole milliseconds.
    if (left >= 1) await pause(left, signal)
  }
}

/** Sends a message, waiting while there is no room; false: `signal` was aborted before. */
async function send(shm: ShmManager, { queue, topic }: Things, { bytes, header }: Played, signal: AbortSignal) {
  if (signal.aborted) return false
  try {
    const buffer = await shm.allocateAsync(bytes.length, { signal })
    try {
      buffer.bytes.set(bytes)
      setHeader(buffer, header)
      if (queue === undefined) await shm.topic(topic!.name).publish(buffer, { signal })
      else await shm.portQueue(queue.name).send(buffer, { signal })
    } finally {
      // It is ours if it was not sent.
      if (!buffer.released) buffer.release()
    }
    return true
  } catch (error) {
    if (signal.aborted && !(error instanceof MillraceError)) return false
    throw error
  }
}

function checkCodec(recorded: string, codec: string, place: string): void {
  if (recorded !== codec) throw new UsageError(`the recording has codec ${recorded}, ${place} has ${codec}`)
}

function whyIncomplete({
  missed,
  cut,
  interrupted: stopped,
}: {
  missed: number | null
  cut: string | null
  interrupted: boolean
}): string {
  if (stopped) return ', interrupted'
  if (cut !== null) return `, INCOMPLETE: ${cut} behind them`
  return missed === 0 ? '' : `, INCOMPLETE: ${missed ?? 'nobody knows how many'} were not recorded`
}
