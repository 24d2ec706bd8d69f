import type { BindingManager } from '../native/native.js'
import type { Delivery, Overflow } from '../native/words.js'
import { DELIVERIES, OVERFLOWS } from '../native/words.js'

/**
 * What a stalled participant was at: `outside` every operation, so that nobody waits for it; `inside` one, so that no death is
 * recovered meanwhile and a queue blocks when it comes round to a slot it was taking; `recovering`, so that no death is recovered
 * and, if it had begun to change something, everybody waits.
 */
export type StallPhase = 'outside' | 'inside' | 'recovering'

/** A participant of the domain: an opened ShmManager, in any process. */
export interface ParticipantStats {
  /** Its place among the participants of the domain. */
  slot: number
  /** Raised each time the slot is given to another participant. */
  epoch: number
  /** Its process id. */
  pid: number
  /** Its name, see {@link OpenOptions.name}. */
  name: string
  /** When it joined, in ms since the Unix epoch. */
  startedAtMs: number
  /** Messages sent. */
  sent: number
  /** Messages received, each delivery counted. */
  received: number
  /** Buffer references held now, those to rings of queues it has open included. */
  held: number
  /** Where it is stalled, if it has been seen to be; a stop shows within two seconds. */
  stalled: StallPhase | null
}

/** A size class of the domain's pool. */
export interface PoolStats {
  /** Bytes that each buffer has room for. */
  bufferBytes: number
  /** Buffers that exist. */
  buffers: number
  /** Buffers in use, rings of queues included. */
  used: number
  /** Of these, rings of queues, and rings that queues had before they were resized, which somebody still has open. */
  rings: number
  /** Segments they lie in. */
  segments: number
  /** Most buffers in use that anybody has seen. */
  highWater: number
}

/** A queue of the domain; the counters are of all participants together. */
export interface QueueStats {
  /** Its name in the domain. */
  name: string
  /** Messages it holds. */
  capacity: number
  /** Messages that a send may leave in it; 0 is as many as it has room for. */
  limit: number
  /** What a send does when it is full. */
  overflow: Overflow
  /** What becomes of the messages of a consumer that dies. */
  delivery: Delivery
  /** Deliveries of one message before it goes to the dead-letter queue; 0 is no limit. */
  maxDeliveries: number
  /** How many participants may send. */
  producers: 1 | 'many'
  /** How many participants may receive. */
  consumers: 1 | 'many'
  /** What it carries, see {@link QueueOptions.typeId}. */
  typeId: number
  /** Name of its codec. */
  codec: string
  /** Whether it was closed: nothing more is sent. */
  closed: boolean
  /** Messages in the queue now, those to be delivered again included. */
  depth: number
  /** At-least-once: messages that consumers have and have not acknowledged. */
  leased: number
  /** At-least-once: messages in the queue that have been delivered before. */
  pending: number
  /** At-least-once: deliveries that were not the first. */
  redelivered: number
  /** At-least-once: messages moved to the dead-letter queue, `<name>.dead`. */
  deadLettered: number
  /** Messages ever accepted, or missed for want of room. At rest, `sent = received + dropped + depth - pending`. */
  sent: number
  /** Messages taken by receivers, each counted once however often it was delivered. */
  received: number
  /** Messages lost to the overflow policy, and those that a topic's publisher passed over. */
  dropped: number
  /** How often a sender waited for space. */
  sendWaits: number
  /** How often a receiver waited for data. */
  receiveWaits: number
  /** Deepest it has been when a sender looked: about every 64 messages, and when it was full. */
  highWater: number
  /** Participants that have the queue open. */
  attached: number
  /** Who they are; of a queue that has been destroyed, nobody. */
  users: QueueUser[]
}

/** A participant that has a queue open. */
export interface QueueUser {
  /** Its slot. */
  participant: number
  /** Which tenant of the slot that is. */
  epoch: number
  /** Whether it has sent here, or tried to. */
  sends: boolean
  /** Whether it has received here, or tried to. */
  receives: boolean
}

/** A subscription of a topic; `name` is its own, empty if it has none. */
export interface SubscriptionStats extends QueueStats {
  /** Slot of the participant that made it. */
  participant: number
  /** Which tenant of the slot that was. */
  epoch: number
}

/** A topic of the domain; the counters are of all participants together. */
export interface TopicStats {
  /** Its name in the domain. */
  name: string
  /** False: somebody has subscribed to a topic that nobody has created yet. */
  exists: boolean
  /** Messages kept for those who subscribe later. */
  history: number
  /** Of these, there now. */
  kept: number
  /** What it carries, see {@link TopicOptions.typeId}. */
  typeId: number
  /** Name of its codec. */
  codec: string
  /** Whether it was closed: nothing more is published. */
  closed: boolean
  /** Messages published. */
  published: number
  /** Participants that have the topic open to publish. */
  attached: number
  /** Its subscriptions. */
  subscriptions: SubscriptionStats[]
}

/** A mailbox of a service; `name` is the service's. */
export interface MailboxStats extends QueueStats {
  /** Whether its owner asks or serves. */
  role: 'client' | 'server'
  /** Slot of its owner. */
  participant: number
  /** Which tenant of the slot that is. */
  epoch: number
}

/** A service of the domain as its queues show it; the counters are of all participants together. */
export interface ServiceQueues {
  /** Its name in the domain. */
  name: string
  /** Its queue of requests; null when only mailboxes are left. */
  requests: QueueStats | null
  /** Mailboxes of its clients and servers. */
  mailboxes: MailboxStats[]
}

/** What all recoveries of a domain came to: the sums over their reports, exact also when reports were missed. */
export interface RecoveredTotals {
  /** Buffers that came back to the pool. */
  freed: number
  /** Messages of at-most-once queues that the dead had taken and not released, and what was in the links of their schedulers. */
  lost: number
  /** Messages that were delivered to somebody else. */
  redelivered: number
}

/** The whole domain at a glance: plain data, safe for JSON. */
export interface Snapshot {
  /** Name of the domain. */
  domain: string
  /** Directory that holds the domain. */
  directory: string
  /** When it was created, in ms since the Unix epoch. */
  createdAtMs: number
  /** Version of the package that created it. */
  version: string
  /** Whether it outlives its last participant. */
  persist: boolean
  /** Pool budget in bytes. */
  maxBytes: number
  /** Bytes of all segments together. */
  usedBytes: number
  /** Who takes part. */
  participants: ParticipantStats[]
  /** Segments that cannot be read, each with the reason: what lies in them is not counted here. */
  damaged: string[]
  /** Its pool, by size of buffers. */
  pools: PoolStats[]
  /** Its port queues. */
  queues: QueueStats[]
  /** Queues of its SageQueues. */
  workQueues: QueueStats[]
  /** Its services. */
  services: ServiceQueues[]
  /** Its topics. */
  topics: TopicStats[]
  /** Deaths that were repaired since the domain was created. */
  recoveries: number
  /** What they came to. */
  recovered: RecoveredTotals
}

/** What {@link ShmManager.stats} tells: queues and topics by name, pools by size. */
export interface Stats {
  /** Queues by name. */
  queues: Record<string, QueueStats>
  /** Topics by name. */
  topics: Record<string, TopicStats>
  /** The pool, by size of buffers. */
  pools: PoolStats[]
}

/** A queue's numbers as native code names them. */
interface NativeWords {
  overflow: number
  delivery: number
  producers: number
  consumers: number
}

type InNumbers<Q> = Omit<Q, keyof NativeWords> & NativeWords
type NativeTopic = Omit<TopicStats, 'subscriptions'> & { subscriptions: InNumbers<SubscriptionStats>[] }
interface NativeService {
  name: string
  requests: InNumbers<QueueStats> | null
  mailboxes: InNumbers<MailboxStats>[]
}
type NativeSnapshot = Omit<Snapshot, 'queues' | 'workQueues' | 'services' | 'topics'> & {
  queues: InNumbers<QueueStats>[]
  workQueues: InNumbers<QueueStats>[]
  services: NativeService[]
  topics: NativeTopic[]
}

/** What makes native calls: a session. */
interface Native {
  call<T>(operation: (open: BindingManager) => T): T
}

/** @internal The domain of `session` now. */
export function snapshotOf(session: Native): Snapshot {
  return snapshotFrom(session.call((open) => open.snapshot()))
}

/** @internal A snapshot as native code writes it, in the words of the public API. */
export function snapshotFrom(json: string): Snapshot {
  const native = JSON.parse(json) as NativeSnapshot
  const topics = native.topics.map((topic) => ({ ...topic, subscriptions: topic.subscriptions.map(withWords) }))
  const services = native.services.map(({ name, requests, mailboxes }) => ({
    name,
    requests: requests && withWords(requests),
    mailboxes: mailboxes.map(withWords),
  }))
  const queues = native.queues.map(withWords)
  return { ...native, queues, workQueues: native.workQueues.map(withWords), services, topics }
}

/** @internal Whether there is one participant, and no message for anybody. */
export function isAlone({ participants, queues, workQueues, topics, services }: Snapshot): boolean {
  return (
    participants.length === 1 &&
    [queues, workQueues].every((all) => all.every(isEmpty)) &&
    topics.every(({ subscriptions }) => subscriptions.every(isEmpty)) &&
    services.every(({ requests, mailboxes }) => (requests === null || isEmpty(requests)) && mailboxes.every(isEmpty))
  )
}

function isEmpty({ depth }: QueueStats): boolean {
  return depth === 0
}

/** @internal The counters of the queue that `handle` names; null while it does not exist, or when it has been destroyed. */
export function queueStatsOf(session: Native, handle: number): QueueStats | null {
  const json = session.call((open) => open.queueStats(handle))
  return json === null ? null : withWords(JSON.parse(json) as InNumbers<QueueStats>)
}

/** @internal Queues and pools of the domain of `session` now. */
export function statsOf(session: Native): Stats {
  const { queues, topics, pools } = snapshotOf(session)
  return { queues: byName(queues), topics: byName(topics), pools }
}

/** Without a prototype: a name that every object has is none of theirs. */
function byName<N extends { name: string }>(all: N[]): Record<string, N> {
  const named = Object.create(null) as Record<string, N>
  for (const one of all) named[one.name] = one
  return named
}

function withWords<Q extends NativeWords>(queue: Q): Omit<Q, keyof NativeWords> & ReturnType<typeof inWords> {
  return Object.assign(queue, inWords(queue))
}

/** The options of a queue as the words of the public API. */
export function inWords({ overflow, delivery, producers, consumers }: NativeWords) {
  return {
    overflow: OVERFLOWS[overflow]!,
    delivery: DELIVERIES[delivery]!,
    producers: producers === 1 ? (1 as const) : ('many' as const),
    consumers: consumers === 1 ? (1 as const) : ('many' as const),
  }
}
