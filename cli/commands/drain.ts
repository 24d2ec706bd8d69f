import type { PortQueue } from '../../index.js'
import type { Command } from '../command.js'
import { thingOf } from '../place.js'
import { takePart } from '../take-part.js'
import { bytes, plural } from '../units.js'
import { openValues, type ValueQueue } from '../value-queue.js'

/** Messages that are taken by one call. */
const BATCH = 256

/** Empties a queue. */
export const drain: Command = {
  name: 'drain',
  parameters: ['<domain>/<queue>'],
  options: {},
  summary: 'take all messages out of a queue and forget them, until it is empty; says how many',
  async run({ positionals, where, json }) {
    const { domain, name } = thingOf(positionals[0]!)
    using shm = takePart(domain, where, 'drain')
    using queue = openValues(shm, name, where)
    const drained = queue.kind === 'queue' ? drainPort(shm.portQueue(name)) : await drainWork(queue)
    if (json) console.log(JSON.stringify({ domain, queue: name, ...drained }))
    else console.log(told(`${domain}/${name}`, drained))
    return 0
  },
}

interface Drained {
  messages: number
  /** Null: values were got, whose size nobody knows. */
  bytes: number | null
}

/** Takes messages as they are, whether a value can be made of them or not. */
function drainPort(queue: PortQueue): Drained {
  const drained = { messages: 0, bytes: 0 }
  for (let batch = queue.receiveMany(BATCH); batch.length > 0; batch = queue.receiveMany(BATCH)) {
    for (const message of batch) {
      drained.messages++
      drained.bytes += message.length
      message.release()
    }
  }
  return drained
}

async function drainWork(queue: ValueQueue): Promise<Drained> {
  let messages = 0
  for (let got = await queue.get(0); got !== null; got = await queue.get(0)) {
    got.done()
    messages++
  }
  return { messages, bytes: null }
}

function told(place: string, { messages, bytes: size }: Drained): string {
  return `${place}: ${plural(messages, 'message')} taken${size === null ? '' : `, ${bytes(size)}`}`
}
