// A domain as those who only look see it.
import { type ParticipantStats, type QueueStats, type RecoveryReport, ShmObserver, type Snapshot } from '../index.js'
import { plural } from './units.js'

/** A participant, and whether it has died and is not recovered yet. */
export type Seen = ParticipantStats & { dead: boolean }

/** Everything in a domain. */
export type Inspected = Omit<Snapshot, 'participants'> & { participants: Seen[] }

/** Everything in domain `name` now. */
export function inspect(name: string, where: { directory?: string }): Inspected {
  using observer = ShmObserver.open(name, where)
  return inspectBy(observer)
}

/** Everything in the domain of `observer` now. */
export function inspectBy(observer: ShmObserver): Inspected {
  const dead = new Set(observer.dead().map(idOf))
  const snapshot = observer.snapshot()
  const participants = snapshot.participants.map((one) => Object.assign(one, { dead: dead.has(idOf(one)) }))
  return Object.assign(snapshot, { participants })
}

/** Slot and epoch as people write them. */
export function idOf({ slot, epoch }: { slot: number; epoch: number }): string {
  return `${slot}.${epoch}`
}

/** As `idOf`, of what belongs to a participant. */
export function ownerOf({ participant, epoch }: { participant: number; epoch: number }): string {
  return `${participant}.${epoch}`
}

/** Whether a participant runs, and if not, where it is. */
export function stateOf({ dead, stalled }: Seen): string {
  if (dead) return 'dead'
  return stalled === null ? 'alive' : `stalled ${stalled}`
}

/** What the recovery of a participant came to. */
export function repairOf({ freed, lost, redelivered }: RecoveryReport): string {
  return `${plural(freed, 'buffer')} freed, ${plural(lost, 'message')} lost, ${redelivered} delivered again`
}

/** A queue of whatever kind. */
export interface AnyQueue {
  readonly kind: 'queue' | 'work' | 'requests' | 'subscription' | 'mailbox'
  /** Its name in the domain; of what belongs to a participant, with that behind an `@`. */
  readonly name: string
  readonly stats: QueueStats
}

/** All queues of a domain: those that have names, and those of subscriptions and services. */
export function queuesOf({
  queues,
  workQueues,
  topics,
  services,
}: Pick<Snapshot, 'queues' | 'workQueues' | 'topics' | 'services'>): AnyQueue[] {
  const named = (kind: AnyQueue['kind']) => (stats: QueueStats) => ({ kind, name: stats.name, stats })
  return [
    ...queues.map(named('queue')),
    ...workQueues.map(named('work')),
    ...services.flatMap(({ requests }) => requests ?? []).map(named('requests')),
    ...topics.flatMap(({ name, subscriptions }) =>
      subscriptions.map(
        (stats) => ({ kind: 'subscription', name: `${name}@${stats.name || ownerOf(stats)}`, stats }) as const,
      ),
    ),
    ...services.flatMap(({ name, mailboxes }) =>
      mailboxes.map((stats) => ({ kind: 'mailbox', name: `${name}@${ownerOf(stats)} ${stats.role}`, stats }) as const),
    ),
  ]
}
