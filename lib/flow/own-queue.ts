import type { PortQueue } from '../queue/port-queue.js'

/** One side of a queue. */
export type Side = 'senders' | 'receivers'

/** A queue as a block is at it: one that the flow has made, `own`, or one of others. */
export interface QueueEnd {
  readonly queue: PortQueue<unknown>
  readonly own: OwnQueue | undefined
}

/** Where messages of an output go: one queue, or those of several replicas, of which `choose` says which one gets a message. */
export interface Route {
  readonly ends: readonly QueueEnd[]
  readonly choose?: (sent: unknown) => number
}

/** Messages that are let go of together. */
const BATCH = 256

/** A queue that a flow has made, and how many blocks of JavaScript here are at it that have not ended. */
export class OwnQueue implements QueueEnd {
  readonly queue: PortQueue<unknown>
  readonly #here: Record<Side, number> = { senders: 0, receivers: 0 }
  readonly #others: Partial<Record<Side, () => void>>

  /** @param others what tells the process of the flow that no block here is at a side any more, if other processes are at that side, too */
  constructor(queue: PortQueue<unknown>, others: Partial<Record<Side, () => void>> = {}) {
    this.queue = queue
    this.#others = others
  }

  get own(): OwnQueue {
    return this
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

  /** A block that receives has ended: removes the queue behind the last one. @returns how many messages were left in it */
  receiverLeft(): number {
    if (--this.#here.receivers > 0) return 0
    if (this.#others.receivers !== undefined) {
      this.#others.receivers()
      return 0
    }
    const { queue } = this
    queue.close()
    let lost = 0
    for (let left = queue.receiveMany(BATCH); left.length > 0; left = queue.receiveMany(BATCH)) {
      lost += left.length
      for (const message of left) message.release()
    }
    queue.destroy()
    return lost
  }
}
