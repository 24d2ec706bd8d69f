// What can be done to a row of `millrace top`: what commands do, by their code, once it is confirmed.
import { ShmObserver } from '../../index.js'
import { drainQueue, toldOf as drained } from '../commands/drain.js'
import { evictParticipant, toldOf as evicted } from '../commands/evict.js'
import { redriveQueue, toldOf as redriven } from '../commands/redrive.js'
import { type DomainRow, type ParticipantRow, type QueueRow, type View } from '../figures/view.js'
import { DEAD_LETTERS, type ThingPlace, thingOf } from '../place.js'
import type { Work } from '../progress.js'
import { bytes, plural } from '../units.js'

/** Something that can be done. */
export interface Action {
  /** The key that asks for it. */
  readonly key: string
  /** The command that does the same. */
  readonly name: string
  /** What it will do, in words. */
  readonly meaning: string
  /** Begins it. It ends with what it came to; early, where that is possible, when `signal` is aborted. */
  readonly start: (where: { directory?: string }, signal: AbortSignal) => Work<string>
}

/** Of a queue of whatever kind, or a topic: only those that have names have messages that can be taken. */
export function actionsOnQueue({ place, kind, depth }: QueueRow, { queues }: View): Action[] {
  if (!hasName(kind)) return []
  const drain: Action = {
    key: 'd',
    name: 'drain',
    meaning: `drain ${place}: take ${plural(depth ?? 0, 'message')}, and what comes meanwhile, and forget them`,
    start: (where, signal) => told(thingOf(place), drainQueue(thingOf(place), where, signal), drained),
  }
  const from = place.endsWith(DEAD_LETTERS) ? place.slice(0, -DEAD_LETTERS.length) : place
  const [to, letters] = [from, `${from}${DEAD_LETTERS}`].map((one) =>
    queues.find((row) => row.place === one && hasName(row.kind)),
  )
  if (to === undefined || letters === undefined) return [drain]
  const redrive: Action = {
    key: 'r',
    name: 'redrive',
    meaning: `redrive ${from}: move ${plural(letters.depth ?? 0, 'dead letter')} back into it`,
    start: (where, signal) => told(thingOf(from), redriveQueue(thingOf(from), Infinity, where, signal), redriven),
  }
  return [drain, redrive]
}

function hasName(kind: QueueRow['kind']): boolean {
  return kind === 'queue' || kind === 'work'
}

/** Of a participant. */
export function actionsOnParticipant({ domain, participant, pid, name }: ParticipantRow): Action[] {
  const meaning = `evict ${domain} ${participant}: kill -9 of process ${pid} (${name}), with all its domains`
  const start = (where: { directory?: string }): Work<string> => ({
    progress: () => `evict ${domain} ${participant}`,
    done: evictParticipant(domain, participant, where).then(evicted),
  })
  return [{ key: 'e', name: 'evict', meaning, start }]
}

/** Of a domain. */
export function actionsOnDomain({ domain }: DomainRow): Action[] {
  const meaning = `clean ${domain}: remove it with all that is in it, if nobody alive takes part`
  const start = (where: { directory?: string }): Work<string> => ({
    progress: () => `clean ${domain}`,
    done: cleaned(domain, where),
  })
  return [{ key: 'c', name: 'clean', meaning, start }]
}

function told<T>(
  place: ThingPlace,
  { progress, done }: Work<T>,
  tell: (place: ThingPlace, what: T) => string,
): Work<string> {
  return { progress, done: done.then((what) => tell(place, what)) }
}

async function cleaned(domain: string, where: { directory?: string }): Promise<string> {
  const { outcome, memoryBytes, by } = await ShmObserver.remove(domain, { ...where, kept: true })
  if (outcome === 'in-use') return `${domain} is in use by ${by}`
  return `${domain} removed${typeof memoryBytes === 'number' ? `, ${bytes(memoryBytes)} freed` : ''}`
}
