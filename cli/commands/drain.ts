import { setImmediate } from 'node:timers/promises'
import type { PortQueue } from '../../index.js'
import type { Command } from '../command.js'
import { interrupted } from '../interrupted.js'
import { type ThingPlace, thingOf } from '../place.js'
import { BATCH, withProgress, type Work } from '../progress.js'
import { takePart } from '../take-part.js'
import { bytes, plural } from '../units.js'
import { openValues, type ValueQueue } from '../value-queue.js'

/** Empties a queue. */
export const drain: Command = {
  name: 'drain',
  parameters: ['<domain>/<queue>'],
  options: {},
  summary:
    'take all messages out of a queue and forget them, until it is empty; says how many; exit code 1: it was interrupted',
  async run({ positionals, where, json }) {
    const place = thingOf(positionals[0]!)
    const signal = interrupted()
    const { progress, done } = drainQueue(place, where, signal)
    const drained = await withProgress(progress, done)
    console.log(json ? JSON.stringify({ domain: place.domain, queue: place.name, ...drained }) : toldOf(place, drained))
    return signal.aborted ? 1 : 0
  },
}

/** What was taken. */
export interface Drained {
  messages: number
  /** Null: values were got, whose size nobody knows. */
  bytes: number | null
}

/** Takes all messages out of a queue, until it is empty or `signal` is aborted. */
export function drainQueue(place: ThingPlace, where: { directory?: string }, signal: AbortSignal): Work<Drained> {
  const drained: Drained = { messages: 0, bytes: null }
  return { progress: () => toldOf(place, drained), done: empty(place, where, drained, signal).then(() => drained) }
}

/** A line that says it. */
export function toldOf({ domain, name }: ThingPlace, { messages, bytes: size }: Drained): string {
  return `${domain}/${name}: ${plural(messages, 'message')} taken${size === null ? '' : `, ${bytes(size)}`}`
}

async function empty(
  { domain, name }: ThingPlace,
  where: { directory?: string },
  drained: Drained,
  signal: AbortSignal,
): Promise<void> {
  using shm = takePart(domain, where, 'drain')
  using queue = openValues(shm, name, where)
  if (queue.kind === 'queue') await drainPort(shm.portQueue(name), drained, signal)
  else await drainWork(queue, drained, signal)
}

/** Takes messages as they are, whether a value can be made of them or not. */
async function drainPort(queue: PortQueue, drained: Drained, signal: AbortSignal): Promise<void> {
  drained.bytes = 0
  for (let batch = queue.receiveMany(BATCH); batch.length > 0; batch = queue.receiveMany(BATCH)) {
    for (const message of batch) {
      drained.bytes += message.length
      message.release()
    }
    drained.messages += batch.length
    await setImmediate()
    if (signal.aborted) break
  }
}

async function drainWork(queue: ValueQueue, drained: Drained, signal: AbortSignal): Promise<void> {
  for (let got = await queue.get(0); got !== null; got = await queue.get(0)) {
    got.done()
    if (++drained.messages % BATCH === 0) await setImmediate()
    if (signal.aborted) break
  }
}
