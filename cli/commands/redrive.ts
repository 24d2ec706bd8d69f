import type { Delivery, PortQueue } from '../../index.js'
import { type Command, count } from '../command.js'
import { queueIn, thingOf } from '../place.js'
import { takePart } from '../take-part.js'
import { plural } from '../units.js'

/** Puts dead letters back. */
export const redrive: Command = {
  name: 'redrive',
  parameters: ['<domain>/<queue>'],
  options: { count: { value: '<n>', summary: 'messages to move at most; default: all that are there' } },
  summary: 'move the dead letters of a queue, those in `<queue>.dead`, back into it; the exit code is 1 if it is full',
  async run({ positionals, where, json, values }) {
    const { domain, name } = thingOf(positionals[0]!)
    const dead = `${name}.dead`
    using shm = takePart(domain, where, 'redrive')
    const snapshot = shm.registry.snapshot()
    queueIn(snapshot, name)
    // At most those that are there: what comes back as a dead letter meanwhile is not moved again.
    const { depth, delivery } = queueIn(snapshot, dead)
    const most = Math.min(depth, count('count', values['count']) ?? Infinity)
    const letters = shm.portQueue(dead)
    const { moved, full } = await move(letters, shm.portQueue(name), most, delivery)
    const left = letters.depth
    if (json) console.log(JSON.stringify({ domain, queue: name, moved, left, full }))
    else
      console.log(
        `${domain}/${name}: ${plural(moved, 'message')} moved back, ${left} left${full ? ': it is full' : ''}`,
      )
    return full ? 1 : 0
  },
}

/** Moves up to `most` messages. What finds no room goes back to where it came from. */
async function move(
  from: PortQueue,
  to: PortQueue,
  most: number,
  delivery: Delivery,
): Promise<{ moved: number; full: boolean }> {
  let moved = 0
  for (; moved < most; moved++) {
    const message = from.tryReceive()
    if (message === null) break
    if (to.trySend(message)) continue
    if (delivery === 'at-least-once') message.nack()
    else await from.send(message)
    return { moved, full: true }
  }
  return { moved, full: false }
}
