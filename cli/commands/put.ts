import { buffer } from 'node:stream/consumers'
import { type Command, milliseconds, UsageError } from '../command.js'
import { thingOf } from '../place.js'
import { withProgress } from '../progress.js'
import { takePart } from '../take-part.js'
import { openValues } from '../value-queue.js'

/** Puts a message into a queue. */
export const put: Command = {
  name: 'put',
  parameters: ['<domain>/<queue>', '[text|-]'],
  options: { timeout: { value: '<ms>', summary: 'how long to wait while the queue is full; default: not at all' } },
  summary:
    'put a message into a queue: the text, or what comes by standard input; a value as JSON where the codec wants one',
  async run({ positionals: [place, text = '-'], where, json, values }) {
    const { domain, name } = thingOf(place!)
    const timeout = milliseconds('timeout', values['timeout']) ?? 0
    using shm = takePart(domain, where, 'put')
    using queue = openValues(shm, name, where)
    const value = valueOf(text === '-' ? await buffer(process.stdin) : Buffer.from(text), queue.codec)
    const done = await withProgress(() => `put ${domain}/${name} waits for room`, queue.put(value, timeout))
    if (json) console.log(JSON.stringify({ domain, queue: name, put: done }))
    else if (!done) console.error(`${domain}/${name} is full`)
    return done ? 0 : 1
  },
}

/** What a queue of that codec takes. */
function valueOf(bytes: Buffer, codec: string): unknown {
  if (codec === 'bytes') return bytes
  try {
    return JSON.parse(bytes.toString())
  } catch (error) {
    throw new UsageError(`the queue has codec ${codec}, so the message must be JSON: ${(error as Error).message}`)
  }
}
