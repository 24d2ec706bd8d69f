import { setImmediate } from 'node:timers/promises'
import type { PortQueue, QueueStats, ShmManager } from '../../index.js'
import { type Command, count } from '../command.js'
import { interrupted } from '../interrupted.js'
import { DEAD_LETTERS, queueIn, type ThingPlace, thingOf } from '../place.js'
import { BATCH, withProgress, type Work } from '../progress.js'
import { takePart } from '../take-part.js'
import { plural } from '../units.js'
import { openValues } from '../value-queue.js'

/** Puts dead letters back. */
export const redrive: Command = {
  name: 'redrive',
  parameters: ['<domain>/<queue>'],
  options: { count: { value: '<n>', summary: 'messages to move at most; default: all that are there' } },
  summary:
    'move the dead letters of a queue, those in `<queue>.dead`, back into it; the exit code is 1 if it is full, or if it was interrupted',
  async run({ positionals, where, json, values }) {
    const place = thingOf(positionals[0]!)
    const most = count('count', values['count']) ?? Infinity
    const signal = interrupted()
    const { progress, done } = redriveQueue(place, most, where, signal)
    const moved = await withProgress(progress, done)
    console.log(json ? JSON.stringify({ domain: place.domain, queue: place.name, ...moved }) : toldOf(place, moved))
    return moved.full || signal.aborted ? 1 : 0
  },
}

/** What was put back. */
export interface Redriven {
  /** Messages. */
  moved: number
  /** Dead letters that are left. */
  left: number
  /** Whether it has ended because there was no room. */
  full: boolean
}

/** Moves dead letters of a queue back into it: at most `most` of those that are there now, until `signal` is aborted. */
export function redriveQueue(
  place: ThingPlace,
  most: number,
  where: { directory?: string },
  signal: AbortSignal,
): Work<Redriven> {
  const redriven: Redriven = { moved: 0, left: 0, full: false }
  const { domain, name } = place
  return {
    progress: () => `${domain}/${name}: ${plural(redriven.moved, 'message')} moved back`,
    done: move(place, most, where, redriven, signal).then(() => redriven),
  }
}

/** A line that says it. */
export function toldOf({ domain, name }: ThingPlace, { moved, left, full }: Redriven): string {
  return `${domain}/${name}: ${plural(moved, 'message')} moved back, ${left} left${full ? ': it is full' : ''}`
}

async function move(
  { domain, name }: ThingPlace,
  asked: number,
  where: { directory?: string },
  redriven: Redriven,
  signal: AbortSignal,
): Promise<void> {
  using shm = takePart(domain, where, 'redrive')
  const snapshot = shm.registry.snapshot()
  const { kind } = queueIn(snapshot, name)
  const { stats: dead } = queueIn(snapshot, `${name}${DEAD_LETTERS}`)
  // At most those that are there: what comes back as a dead letter meanwhile is not moved again.
  const most = Math.min(dead.depth, asked)
  const each: Each = async (moveOne) => {
    while (redriven.moved < most && !signal.aborted) {
      const outcome = await moveOne()
      redriven.full = outcome === 'full'
      if (outcome !== 'moved') return
      if (++redriven.moved % BATCH === 0) await setImmediate()
    }
  }
  if (kind === 'work queue') await moveValues(shm, name, where, each)
  else await moveMessages(shm.portQueue(dead.name), shm.portQueue(name), dead, each)
  redriven.left = queueIn(shm.registry.snapshot(), dead.name).stats.depth
}

/** What has become of one of them. */
type Outcome = 'moved' | 'none' | 'full'
/** Does it again and again, as often as it should and can be done. */
type Each = (moveOne: () => Promise<Outcome>) => Promise<void>

/** Moves messages as they are. One that finds no room goes back to where it came from. */
async function moveMessages(from: PortQueue, to: PortQueue, { delivery }: QueueStats, each: Each): Promise<void> {
  await each(async () => {
    const message = from.tryReceive()
    if (message === null) return 'none'
    if (to.trySend(message)) return 'moved'
    if (delivery === 'at-least-once') message.nack()
    else await from.send(message)
    return 'full'
  })
}

/** Moves the values of a work queue: each is in the queue again before it has left the dead letters. */
async function moveValues(shm: ShmManager, name: string, where: { directory?: string }, each: Each): Promise<void> {
  using from = openValues(shm, `${name}${DEAD_LETTERS}`, where)
  using to = openValues(shm, name, where)
  await each(async () => {
    const got = await from.get(0)
    if (got === null) return 'none'
    const isMoved = await to.put(got.value, 0)
    if (isMoved) got.done()
    else got.giveBack()
    return isMoved ? 'moved' : 'full'
  })
}
