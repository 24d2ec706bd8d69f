import { type Command, count, milliseconds, UsageError, word } from '../command.js'
import { FORMAT_OPTION, FORMATS, json as jsonOf, line, plain } from '../message.js'
import { thingOf } from '../place.js'
import { withProgress } from '../progress.js'
import { takePart } from '../take-part.js'
import { openValues } from '../value-queue.js'

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
    using queue = openValues(shm, name, where)
    const { codec } = queue
    if (format === 'hex' && codec !== 'bytes')
      throw new UsageError(`--format hex is for bytes, the queue has codec ${codec}`)
    for (let got = 0; got < wanted; got++) {
      const next = await withProgress(() => `get ${domain}/${name} waits for a message`, queue.get(timeout))
      if (next === null) {
        if (!json) console.error(`${domain}/${name} is empty: ${got} of ${wanted} messages`)
        return 1
      }
      console.log(json ? jsonOf({ value: plain(next.value, format) }) : line(next.value, format))
      next.done()
    }
    return 0
  },
}
