import { MillraceError, type PortQueue } from '../../index.js'
import { type Command, count, milliseconds, UsageError, word } from '../command.js'
import { FORMAT_OPTION, FORMATS, json as jsonOf, line, plain } from '../message.js'
import { codecOf, queueIn, thingOf } from '../place.js'
import { takePart } from '../take-part.js'

/** Takes messages out of a queue. */
export const get: Command = {
  name: 'get',
  parameters: ['<domain>/<queue>'],
  options: {
    count: { value: '<n>', summary: 'messages to take; default: 1' },
    timeout: { value: '<ms>', summary: 'how long to wait for each; default: not at all' },
    format: FORMAT_OPTION,
  },
  summary: 'take messages out of a queue and print them, a line each; the exit code is 1 if there were fewer',
  async run({ positionals, where, json, values }) {
    const { domain, name } = thingOf(positionals[0]!)
    const wanted = count('count', values['count']) ?? 1
    const timeout = milliseconds('timeout', values['timeout']) ?? 0
    const format = word('format', values['format'], FORMATS) ?? 'text'
    using shm = takePart(domain, where, 'get')
    const codec = codecOf(queueIn(shm.registry.snapshot(), name))
    if (format === 'hex' && codec !== 'bytes')
      throw new UsageError(`--format hex is for bytes, the queue has codec ${codec}`)
    const queue = shm.portQueue<unknown>(name)
    for (let got = 0; got < wanted; got++) {
      const next = await nextOf(queue, timeout)
      if (next === null) {
        if (!json) console.error(`${domain}/${name} is empty: ${got} of ${wanted} messages`)
        return 1
      }
      console.log(json ? jsonOf({ value: plain(next.value, format) }) : line(next.value, format))
    }
    return 0
  },
}

/** The next value; null: there is none in time, or none any more. */
async function nextOf(queue: PortQueue<unknown>, timeout: number): Promise<{ value: unknown } | null> {
  try {
    return { value: await queue.get({ timeout }) }
  } catch (error) {
    const over = ['ERR_MILLRACE_TIMEOUT', 'ERR_MILLRACE_CLOSED']
    if (error instanceof MillraceError && over.includes(error.code)) return null
    throw error
  }
}
