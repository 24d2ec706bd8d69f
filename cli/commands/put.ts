import { readFileSync } from 'node:fs'
import { MillraceError, type ShmManager } from '../../index.js'
import { type Command, milliseconds, UsageError } from '../command.js'
import { codecOf, queueIn, thingOf } from '../place.js'
import { takePart } from '../take-part.js'

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
    const codec = codecOf(queueIn(shm.registry.snapshot(), name))
    const value = valueOf(text === '-' ? readFileSync(0) : Buffer.from(text), codec)
    const done = await isPut(shm, name, value, timeout)
    if (json) console.log(JSON.stringify({ domain, queue: name, put: done }))
    else if (!done) console.error(`${domain}/${name} is full`)
    return done ? 0 : 1
  },
}

async function isPut(shm: ShmManager, name: string, value: unknown, timeout: number): Promise<boolean> {
  try {
    await shm.portQueue<unknown>(name).put(value, { timeout })
    return true
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_MILLRACE_TIMEOUT') return false
    throw error
  }
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
