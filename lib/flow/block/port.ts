import { invalidArgument, misuse } from '../../errors.js'
import type { PortQueue } from '../../queue/port-queue.js'
import type { Session } from '../../session/session.js'

declare const MESSAGE: unique symbol

/** What ports belong to. */
export interface PortOwner {
  /** What messages call it. */
  readonly name: string
  /** Whether its scheduler has been started: its ports stay as they are. */
  readonly started: boolean
}

/** A queue that lies outside of the flow, as far as a port knows it. */
export interface OuterQueue {
  readonly name: string
  /** @internal */
  readonly session: Session
  /** @internal It ends with the block: no other one is at this side of it. */
  readonly only?: true
}

/** @internal A queue of another copy of this package is one, too. */
export function checkQueue(what: string, queue: unknown): OuterQueue {
  const { session } = (queue ?? {}) as Partial<OuterQueue>
  if (typeof session?.call === 'function') return queue as OuterQueue
  throw invalidArgument(what, 'a PortQueue', queue)
}

abstract class Port {
  /** Its name, unique among the inputs, or the outputs, of its block. */
  readonly name: string
  /** The block it belongs to. */
  readonly owner: PortOwner
  readonly #queues: OuterQueue[] = []

  /** @internal */
  constructor(owner: PortOwner, name: string) {
    this.owner = owner
    this.name = name
  }

  /** @internal The queues it is connected to. */
  get queues(): readonly OuterQueue[] {
    return this.#queues
  }

  /** Block and port, as messages name them. */
  get label(): string {
    return `${this.owner.name}.${this.name}`
  }

  /** @internal As `connect`, and the queue ends with the block: no other one is at this side of it. */
  connectOnly({ name, session }: OuterQueue): void {
    this.#queues.push({ name, session, only: true })
  }

  /** @internal */
  protected connectTo(queue: OuterQueue): void {
    checkQueue(`the queue that ${this.label} is connected to`, queue)
    if (this.owner.started) {
      const message = `${this.label} cannot be connected to queue "${queue.name}": its scheduler has been started`
      throw misuse(message)
    }
    this.#queues.push(queue)
  }
}

/**
 * Where a block takes messages. It is linked to outputs of blocks of the same scheduler, or connected to one queue.
 * @typeParam T what messages carry: the compiler links ports of the same type only. Nothing is known of it when a flow runs.
 */
export class InputPort<in T = unknown> extends Port {
  /** For the compiler. */
  declare readonly [MESSAGE]: (message: T) => void

  /**
   * Takes messages from `queue`, which is made if it does not exist. The block ends when the queue is closed and empty.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`: it is no queue, or the scheduler has been started
   */
  connect(queue: PortQueue<T>): void {
    this.connectTo(queue)
  }
}

/**
 * Where a block sends messages. It is linked to inputs of blocks of the same scheduler, or connected to queues; each gets every message.
 * @typeParam T as of {@link InputPort}
 */
export class OutputPort<out T = unknown> extends Port {
  /** For the compiler. */
  declare readonly [MESSAGE]: T

  /**
   * Sends messages to `queue`, which need not exist yet: it is made by who receives from it, or names its options. It stays open when the
   * block has ended: other producers may go on.
   * @throws `MillraceError` as {@link InputPort.connect}
   */
  connect(queue: PortQueue<T>): void {
    this.connectTo(queue)
  }
}
