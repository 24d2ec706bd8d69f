import type { BufferPtr } from '../../index.js'
import { type Command, count, EXIT_LOST, UsageError } from '../command.js'
import { interrupted } from '../interrupted.js'
import { codecOf, thingOf, thingsIn } from '../place.js'
import { withProgress } from '../progress.js'
import { sourceOf } from '../recording/source.js'
import { Recording } from '../recording/writer.js'
import { takePart } from '../take-part.js'
import { plural } from '../units.js'

/** Writes messages to a file. */
export const record: Command = {
  name: 'record',
  parameters: ['<domain>/<queue|topic>', '<file>'],
  options: {
    count: { value: '<n>', summary: 'messages to record; default: until interrupted' },
    take: {
      summary: 'take the messages of a queue; default: look at its front, where not all are seen that pass quickly',
    },
    block: { summary: 'let publishers of a topic wait for the recorder; default: what it cannot follow is missed' },
  },
  summary: 'write messages to an MCAP file as they pass; says INCOMPLETE, and how many, if some were not recorded',
  async run({ positionals: [place, path], where, json, values, flags }) {
    const { domain, name } = thingOf(place!)
    const most = count('count', values['count']) ?? Infinity
    using shm = takePart(domain, where, 'record')
    const things = thingsIn(shm.registry.snapshot(), name)
    const kind = things.queue === undefined ? 'topic' : 'queue'
    const [take, block] = [flags.has('take'), flags.has('block')]
    if (kind === 'topic' ? take : block) throw new UsageError(`--${take ? 'take' : 'block'} is not for a ${kind}`)
    const recording = await Recording.create(path!, {
      domain,
      name,
      kind,
      codec: codecOf((things.queue ?? things.topic)!),
    })
    const ended = new AbortController()
    const signal = AbortSignal.any([interrupted(), ended.signal])
    const source = sourceOf(shm, things, { take, block })
    const work = async () => {
      for await (const message of source.messages(signal)) {
        await addOrGiveBack(recording, message)
        if (recording.count >= most) break
      }
    }
    await withProgress(() => `${plural(recording.count, 'message')} of ${place} recorded`, work())
    const missed = source.missed()
    await recording.end(missed)
    const recorded = recording.count
    if (json) console.log(JSON.stringify({ domain, name, file: path, recorded, missed, complete: missed === 0 }))
    else
      console.log(`${path}: ${plural(recorded, 'message')}${missed === 0 ? '' : `, INCOMPLETE: ${missed} more passed`}`)
    return missed === 0 ? 0 : EXIT_LOST
  },
}

/** Adds `message`; if that fails, who received it has not. */
async function addOrGiveBack(recording: Recording, message: BufferPtr): Promise<void> {
  try {
    await recording.add(message)
  } catch (error) {
    message.nack()
    throw error
  }
}
