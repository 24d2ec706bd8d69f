import type { Command } from '../command.js'
import { queueIn, thingOf } from '../place.js'
import { takePart } from '../take-part.js'
import { bytes, plural } from '../units.js'

/** Messages that are taken by one call. */
const BATCH = 256

/** Empties a queue. */
export const drain: Command = {
  name: 'drain',
  parameters: ['<domain>/<queue>'],
  options: {},
  summary: 'take all messages out of a queue and forget them, until it is empty; says how many',
  run({ positionals, where, json }) {
    const { domain, name } = thingOf(positionals[0]!)
    using shm = takePart(domain, where, 'drain')
    queueIn(shm.registry.snapshot(), name)
    const queue = shm.portQueue(name)
    const drained = { messages: 0, bytes: 0 }
    for (let batch = queue.receiveMany(BATCH); batch.length > 0; batch = queue.receiveMany(BATCH)) {
      for (const message of batch) {
        drained.messages++
        drained.bytes += message.length
        message.release()
      }
    }
    if (json) console.log(JSON.stringify({ domain, queue: name, ...drained }))
    else console.log(`${domain}/${name}: ${plural(drained.messages, 'message')} taken, ${bytes(drained.bytes)}`)
    return 0
  },
}
