import { BATCH_MAX } from '../../native/generated/block.js'
import type { PortQueue } from '../../queue/port-queue.js'
import type { QueueStats } from '../../session/snapshot.js'
import { ObjectQueue } from './object-queue.js'
import type { LinkStats } from '../block/stats.js'

/** One side of a queue. */
export type Side = 'senders' | 'receivers'

/** Between blocks, or between a block and others. */
export type LinkQueue = PortQueue<unknown> | ObjectQueue

/** A queue as a block is at it: one that the flow has made, `own`, or one of others. */
export interface QueueEnd {
  readonly queue: LinkQueue
  readonly own: OwnQueue | undefined
}

/** Where messages of an output go: one queue, or those of several replicas, of which `choose` says which one gets a message. */
export interface Route {
  readonly ends: readonly QueueEnd[]
  readonly choose?: (sent: unknown) => number
}

/** What nobody takes any more. */
export interface Leftover {
  readonly lost: number
  /** Dropped since the last message that was taken. */
  readonly gaps: number
}

export const NOTHING_LEFT: Leftover = { lost: 0, gaps: 0 }

/** A queue that a flow has made, and how many blocks of JavaScript here are at it that have not ended. */
export class OwnQueue<Q extends LinkQueue = LinkQueue> implements QueueEnd {
  readonly queue: Q
  readonly #here: Record<Side, number> = { senders: 0, receivers: 0 }
  readonly #others: Partial<Record<Side, () => void>>
  /** Its numbers when it was removed. */
  #last: QueueStats | null = null

  /** @param others what tells the process of the flow that no block here is at a side any more, if other processes are at that side, too */
  constructor(queue: Q, others: Partial<Record<Side, () => void>> = {}) {
    this.queue = queue
    this.#others = others
  }

  get own(): this {
    return this
  }

  /** What has been counted of it; undefined: it was removed by others. */
  get stats(): Omit<LinkStats, 'from' | 'to'> | undefined {
    const queue: LinkQueue = this.queue
    if (queue instanceof ObjectQueue) return queue.stats
    const stats = this.#last ?? (queue.session.closed ? null : queue.stats())
    if (stats === null) return undefined
    const { name, capacity, limit, depth, highWater, sent, dropped, sendWaits, receiveWaits } = stats
    const counts = { depth, highWater, sent, dropped, sendWaits, receiveWaits }
    return { queue: name, capacity: limit === 0 ? capacity : limit, ...counts, oldest: null }
  }

  /** So many blocks more are at that side. */
  enter(side: Side, blocks: number): void {
    this.#here[side] += blocks
  }

  /** A block that sends has ended: closes the queue behind the last one. */
  senderLeft(): void {
    if (--this.#here.senders > 0 || this.queue.session.closed) return
    if (this.#others.senders === undefined) this.queue.close()
    else this.#others.senders()
  }

  /** A block that receives has ended: removes the queue behind the last one. @returns what is left in it then */
  receiverLeft(): Leftover {
    if (--this.#here.receivers > 0) return NOTHING_LEFT
    if (this.#others.receivers !== undefined) {
      this.#others.receivers()
      return NOTHING_LEFT
    }
    const queue: LinkQueue = this.queue
    queue.close()
    const left = queue instanceof ObjectQueue ? queue.leftover : empty(queue)
    if (!(queue instanceof ObjectQueue)) this.#last = queue.stats()
    queue.destroy()
    return left
  }
}

function empty(queue: PortQueue<unknown>): Leftover {
  let [lost, gaps] = [0, 0]
  for (let left = queue.receiveMany(BATCH_MAX); left.length > 0; left = queue.receiveMany(BATCH_MAX)) {
    lost += left.length
    for (const message of left) {
      gaps += message.gap
      message.release()
    }
  }
  return { lost, gaps }
}
