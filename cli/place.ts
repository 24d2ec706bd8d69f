// Where something is: `<domain>/<name>`.
import { MillraceError, type QueueStats, ShmObserver, type Snapshot, type TopicStats } from '../index.js'
import { UsageError } from './command.js'

/** What the names of queues of dead letters end with. */
export const DEAD_LETTERS = '.dead'

/** A domain, and perhaps one thing in it. */
export interface Place {
  readonly domain: string
  readonly name: string | undefined
}

/** The place that `text` names. */
export function placeOf(text: string): Place {
  const slash = text.indexOf('/')
  return slash < 0 ? { domain: text, name: undefined } : { domain: text.slice(0, slash), name: text.slice(slash + 1) }
}

/** A thing in a domain. */
export type ThingPlace = Place & { name: string }

/** The thing in a domain that `text` names. */
export function thingOf(text: string): ThingPlace {
  const { domain, name } = placeOf(text)
  if (name !== undefined && name !== '') return { domain, name }
  throw new UsageError(`${JSON.stringify(text)} names no queue or topic: <domain>/<name> is needed`)
}

/** What a domain has by a name. */
export interface Things {
  readonly queue: QueueStats | undefined
  readonly topic: TopicStats | undefined
}

/** Queue, work queue or topic `name` of the domain, for who only counts; an error that says what there is if there is none. */
export function countedIn(snapshot: Snapshot, name: string): Things {
  const work = named(snapshot.workQueues, name)
  return work === undefined ? thingsIn(snapshot, name) : { queue: work, topic: undefined }
}

/** Queue and topic `name` of the domain, for who looks at messages; an error that says what there is if there is neither. */
export function thingsIn(snapshot: Snapshot, name: string): Things {
  const [queue, topic] = [named(snapshot.queues, name), named(snapshot.topics, name)]
  if (queue !== undefined || topic !== undefined) return { queue, topic }
  if (named(snapshot.workQueues, name) === undefined) throw missing('queue or topic', name, snapshot)
  const message = `${JSON.stringify(name)} is the work queue of a SageQueue, which nobody else looks into: \`millrace hz\` counts what passes, \`put\`, \`get\` and \`drain\` work`
  throw new MillraceError('ERR_MILLRACE_UNSUPPORTED', message)
}

/** Name of the codec of a queue or topic; one that was made without has bytes. */
export function codecOf({ codec }: Pick<QueueStats, 'codec'>): string {
  return codec || 'bytes'
}

/** The domain `name` now. */
export function snapshotOf(name: string, where: { directory?: string }): Snapshot {
  using observer = ShmObserver.open(name, where)
  return observer.snapshot()
}

/** A queue that values are put into and got from, and of which kind it is: a port queue, or the work queue of a SageQueue. */
export interface QueueThere {
  readonly kind: 'queue' | 'work queue'
  readonly stats: QueueStats
}

/** Queue `name` of the domain; an error that says what there is if there is none. */
export function queueIn(snapshot: Snapshot, name: string): QueueThere {
  const [queue, work] = [named(snapshot.queues, name), named(snapshot.workQueues, name)]
  if (queue !== undefined) return { kind: 'queue', stats: queue }
  if (work !== undefined) return { kind: 'work queue', stats: work }
  throw missing('queue', name, snapshot)
}

/** Names of all that is in a domain. */
export function namesIn({ queues, topics, services, workQueues }: Snapshot): string[] {
  return [queues, topics, services, workQueues].flat().map(({ name }) => name)
}

/** The error for what is not in a domain. */
export function missing(what: string, name: string, snapshot: Snapshot): Error {
  const there = namesIn(snapshot).join(', ') || 'nothing'
  const message = `domain ${JSON.stringify(snapshot.domain)} has no ${what} ${JSON.stringify(name)}; it has ${there}`
  return new MillraceError('ERR_MILLRACE_NOT_FOUND', message)
}

/** The one of that name. */
function named<T extends { name: string }>(things: readonly T[], name: string): T | undefined {
  return things.find((thing) => thing.name === name)
}
