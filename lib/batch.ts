import type { BufferPtr } from './buffer-ptr.js'
import { releaseAll } from './buffer-ptr.js'
import type { Session } from './session.js'

/** Messages received together, in order. Released together, in one crossing into native code. */
export class Batch implements Iterable<BufferPtr>, Disposable {
  readonly #session: Session
  readonly #messages: readonly BufferPtr[]

  /** @internal */
  constructor(session: Session, messages: readonly BufferPtr[]) {
    this.#session = session
    this.#messages = messages
  }

  /** Number of messages. */
  get length(): number {
    return this.#messages.length
  }

  /** Message `index`, or undefined beyond the end. */
  at(index: number): BufferPtr | undefined {
    return this.#messages.at(index)
  }

  /** Iterates over the messages, and releases none. */
  [Symbol.iterator](): IterableIterator<BufferPtr> {
    return this.#messages[Symbol.iterator]()
  }

  /** Releases every message that has not been released, sent on or given back. Does nothing the second time. */
  release(): void {
    releaseAll(this.#session, this.#messages)
  }

  /** Gives back every message that has not been released or sent on; see {@link BufferPtr.nack}. */
  nack(): void {
    for (const message of this.#messages) message.nack()
  }

  /** The same as {@link Batch.release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }
}
