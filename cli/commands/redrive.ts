import type { PortQueue, QueueStats, ShmManager } from '../../index.js'
import { type Command, count } from '../command.js'
import { queueIn, thingOf } from '../place.js'
import { takePart } from '../take-part.js'
import { plural } from '../units.js'
import { openValues } from '../value-queue.js'

/** Puts dead letters back. */
export const redrive: Command = {
  name: 'redrive',
  parameters: ['<domain>/<queue>'],
  options: { count: { value: '<n>', summary: 'messages to move at most; default: all that are there' } },
  summary: 'move the dead letters of a queue, those in `<queue>.dead`, back into it; the exit code is 1 if it is full',
  async run({ positionals, where, json, values }) {
    const { domain, name } = thingOf(positionals[0]!)
    const asked = count('count', values['count']) ?? Infinity
    using shm = takePart(domain, where, 'redrive')
    const snapshot = shm.registry.snapshot()
    const { kind } = queueIn(snapshot, name)
    const { stats: dead } = queueIn(snapshot, `${name}.dead`)
    // At most those that are there: what comes back as a dead letter meanwhile is not moved again.
    const most = Math.min(dead.depth, asked)
    const { moved, full } =
      kind === 'work queue'
        ? await moveValues(shm, name, most, where)
        : await moveMessages(shm.portQueue(dead.name), shm.portQueue(name), most, dead)
    const left = queueIn(shm.registry.snapshot(), dead.name).stats.depth
    const result = { domain, queue: name, moved, left, full }
    if (json) console.log(JSON.stringify(result))
    else
      console.log(
        `${domain}/${name}: ${plural(moved, 'message')} moved back, ${left} left${full ? ': it is full' : ''}`,
      )
    return full ? 1 : 0
  },
}

interface Moved {
  moved: number
  /** Whether it has ended because there was no room. */
  full: boolean
}

/** Moves messages as they are. One that finds no room goes back to where it came from. */
async function moveMessages(from: PortQueue, to: PortQueue, most: number, { delivery }: QueueStats): Promise<Moved> {
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

/** Moves the values of a work queue: each is in the queue again before it has left the dead letters. */
async function moveValues(shm: ShmManager, name: string, most: number, where: { directory?: string }): Promise<Moved> {
  using from = openValues(shm, `${name}.dead`, where)
  using to = openValues(shm, name, where)
  let moved = 0
  for (; moved < most; moved++) {
    const got = await from.get(0)
    if (got === null) break
    if (await to.put(got.value, 0)) got.done()
    else {
      got.giveBack()
      return { moved, full: true }
    }
  }
  return { moved, full: false }
}
