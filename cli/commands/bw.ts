import { type Command, count, milliseconds } from '../command.js'
import { follow } from '../follow.js'
import { interrupted } from '../interrupted.js'
import { thingOf, thingsIn } from '../place.js'
import { INTERVAL_OPTIONS, ratesOf } from '../rates.js'
import { takePart } from '../take-part.js'
import { bytes, short } from '../units.js'

/** Shows how many bytes pass. */
export const bw: Command = {
  name: 'bw',
  parameters: ['<domain>/<queue|topic>'],
  options: INTERVAL_OPTIONS,
  summary:
    'show about how many bytes pass a second: the messages counted, times the mean size of those seen as by `tap`',
  async run({ positionals, where, json, values }) {
    const { domain, name } = thingOf(positionals[0]!)
    const interval = milliseconds('interval', values['interval']) ?? 1000
    const most = count('count', values['count']) ?? Infinity
    using shm = takePart(domain, where, 'bw')
    const stop = new AbortController()
    const { signal } = stop
    interrupted().addEventListener('abort', () => stop.abort())
    const sizes = { seen: 0, bytes: 0 }
    const things = thingsIn(shm.registry.snapshot(), name)
    const looking = (async () => {
      for await (const { length } of follow(shm, things, signal)) {
        sizes.seen++
        sizes.bytes += length
      }
    })()
    let lines = 0
    for await (const { sent } of ratesOf(domain, name, where, interval, signal)) {
      const size = sizes.seen === 0 ? null : sizes.bytes / sizes.seen
      const sample = { sent, size, bytes: size === null ? null : sent * size, seen: sizes.seen }
      console.log(json ? JSON.stringify(sample) : told(sample))
      if (++lines >= most) break
    }
    stop.abort()
    await looking
    return 0
  },
}

interface Sample {
  /** Messages a second. */
  readonly sent: number
  /** Mean size of the messages that were seen, in bytes; null: none was. */
  readonly size: number | null
  /** Bytes a second. */
  readonly bytes: number | null
  /** Messages whose size that is about. */
  readonly seen: number
}

function told({ sent, size, bytes: rate, seen }: Sample): string {
  if (size === null || rate === null) return `sent ${short(sent)}/s, no message seen yet`
  return `about ${bytes(rate)}/s: ${short(sent)}/s of ${bytes(size)}, the mean of ${seen} seen`
}
