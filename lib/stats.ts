import type { Delivery, Overflow } from './options.js'
import { DELIVERIES, OVERFLOWS } from './options.js'
import type { Place } from './recovery.js'
import type { Session } from './session.js'

/** A participant of the domain: an opened ShmManager, in any process. */
export interface ParticipantStats {
  slot: number
  /** Raised each time the slot is given to another participant. */
  epoch: number
  pid: number
  name: string
  startedAtMs: number
  /** Messages sent. */
  sent: number
  /** Messages received, each delivery counted. */
  received: number
  /** Buffer references held now, those to rings of queues it has open included. */
  held: number
  /** Where it stands still, if it has been seen to; a stop shows within two seconds. */
  stalled: Place | null
}

/** A size class of the domain's pool. */
export interface PoolStats {
  bufferBytes: number
  /** Buffers that exist. */
  buffers: number
  /** Buffers in use, rings of queues included. */
  used: number
  /** Of these, rings of queues. */
  rings: number
  segments: number
  /** Most buffers in use that anybody has seen. */
  highWater: number
}

/** A queue of the domain; the counters are of all participants together. */
export interface QueueStats {
  name: string
  capacity: number
  overflow: Overflow
  delivery: Delivery
  /** Deliveries of one message before it goes to the dead-letter queue; 0 is no limit. */
  maxDeliveries: number
  producers: 1 | 'many'
  consumers: 1 | 'many'
  typeId: number
  codec: string
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
  /** Messages ever accepted. At rest, `sent = received + dropped + depth - pending`. */
  sent: number
  /** Messages taken by receivers, each counted once however often it was delivered. */
  received: number
  /** Messages lost to the overflow policy. */
  dropped: number
  /** How often a sender waited for space. */
  sendWaits: number
  /** How often a receiver waited for data. */
  receiveWaits: number
  /** Deepest it has been when a sender looked: about every 64 messages, and when it was full. */
  highWater: number
  /** Participants that have the queue open. */
  attached: number
}

/** The whole domain at a glance: plain data, safe for JSON. */
export interface Snapshot {
  domain: string
  directory: string
  createdAtMs: number
  /** Version of the package that created it. */
  version: string
  /** Whether it outlives its last participant. */
  persist: boolean
  /** Pool budget in bytes. */
  maxBytes: number
  /** Bytes of all segments together. */
  usedBytes: number
  participants: ParticipantStats[]
  pools: PoolStats[]
  queues: QueueStats[]
  /** Deaths that were repaired since the domain was created. */
  recoveries: number
}

/** What {@link ShmManager.stats} tells: queues by name, pools by size. */
export interface Stats {
  queues: Record<string, QueueStats>
  pools: PoolStats[]
}

/** A queue's numbers as native code names them. */
interface NativeWords {
  overflow: number
  delivery: number
  producers: number
  consumers: number
}

type NativeSnapshot = Omit<Snapshot, 'queues'> & { queues: (Omit<QueueStats, keyof NativeWords> & NativeWords)[] }

/** @internal The domain of `session` now. */
export function snapshotOf(session: Session): Snapshot {
  return snapshotFrom(session.call((open) => open.snapshot()))
}

/** @internal A snapshot as native code writes it, in the words of the public API. */
export function snapshotFrom(json: string): Snapshot {
  const native = JSON.parse(json) as NativeSnapshot
  return { ...native, queues: native.queues.map((queue) => Object.assign(queue, inWords(queue))) }
}

/** @internal Queues and pools of the domain of `session` now. */
export function statsOf(session: Session): Stats {
  const { queues, pools } = snapshotOf(session)
  return { queues: Object.fromEntries(queues.map((queue) => [queue.name, queue])), pools }
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
