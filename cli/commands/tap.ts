import { type Command, count, word } from '../command.js'
import { follow } from '../follow.js'
import { interrupted } from '../interrupted.js'
import { FORMAT_OPTION, FORMATS, json as jsonOf, line, plain } from '../message.js'
import { codecOf, thingOf, thingsIn } from '../place.js'
import { takePart } from '../take-part.js'

/** Shows messages without taking them. */
export const tap: Command = {
  name: 'tap',
  parameters: ['<domain>/<queue|topic>'],
  options: {
    count: { value: '<n>', summary: 'messages to show; default: until interrupted' },
    format: { ...FORMAT_OPTION, summary: 'how to show bytes; default: text for the codecs bytes and json, else hex' },
  },
  summary: 'show messages as they pass, without taking any from anybody; not every one where they pass quickly',
  async run({ positionals, where, json, values }) {
    const { domain, name } = thingOf(positionals[0]!)
    const most = count('count', values['count']) ?? Infinity
    const asked = word('format', values['format'], FORMATS)
    using shm = takePart(domain, where, 'tap')
    const things = thingsIn(shm.registry.snapshot(), name)
    const codec = codecOf((things.queue ?? things.topic)!)
    const format = asked ?? (codec === 'bytes' || codec === 'json' ? 'text' : 'hex')
    let seen = 0
    for await (const message of follow(shm, things, interrupted())) {
      const bytes = message.copy()
      console.log(json ? jsonOf({ length: bytes.length, value: plain(bytes, format) }) : line(bytes, format))
      if (++seen >= most) break
    }
    return 0
  },
}
