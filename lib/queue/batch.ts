import { isNoValue } from '../codec/no-value.js'
import { BufferPtr, markReleased, messageAt, releaseAll } from '../memory/buffer-ptr.js'
import { invalidArgument } from '../errors.js'
import { RECEIVED } from '../native/generated/block.js'
import * as native from '../native/native.js'
import type { Session } from '../session/session.js'
import { releaseNamed } from '../memory/release.js'

/** Messages received together, in order. Released together, in one crossing into native code. */
export class Batch implements Iterable<BufferPtr>, Disposable {
  readonly #session: Session
  readonly #ids: readonly number[]
  /** Messages dropped before the first one. */
  readonly #gap: number
  /** Made when somebody asks for one of them: whoever only looks at bytes is spared an object per message. */
  #messages: BufferPtr[] | undefined
  #released = false

  /** @internal Of what has just been received, which is `count` messages. */
  constructor(session: Session, count: number) {
    const ids = new Array<number>(count)
    for (let i = 0; i < count; i++) ids[i] = native.idAt(i)
    this.#session = session
    this.#ids = ids
    this.#gap = native.gapAt(0)
    // Leases and own views are each message's own.
    if (native.leaseAt(0) !== RECEIVED || session.ownViews !== undefined) {
      this.#messages = ids.map((_, i) => messageAt(session, i))
    }
  }

  /** @internal Messages dropped before the first one. */
  get gap(): number {
    return this.#gap
  }

  /** Number of messages. */
  get length(): number {
    return this.#ids.length
  }

  /** Message `index`, or undefined beyond the end. */
  at(index: number): BufferPtr | undefined {
    return this.#all().at(index)
  }

  /**
   * The bytes of message `index`, the same as `at(index).bytes`, for those who need nothing else of it: no object is made for the
   * message.
   * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT` beyond the end; as {@link BufferPtr.bytes}
   */
  bytes(index: number): Uint8Array<ArrayBuffer> {
    const session = this.#session
    const id = this.#ids[index]
    if (this.#messages === undefined && !this.#released && !session.closed && id !== undefined) {
      return session.segments.of(id).view(id)
    }
    const message = this.#all()[index]
    if (message !== undefined) return message.bytes
    throw invalidArgument('index', `an index of a batch of ${this.length} messages`, index)
  }

  /** Iterates over the messages, and releases none. */
  [Symbol.iterator](): IterableIterator<BufferPtr> {
    return this.#all()[Symbol.iterator]()
  }

  /** Releases every message that has not been released, sent on or given back. Does nothing the second time. */
  release(): void {
    if (this.#messages !== undefined) return releaseAll(this.#session, this.#messages)
    if (this.#released) return
    this.#released = true
    const ids = this.#ids
    for (let i = 0; i < ids.length; i++) native.setId(i, ids[i]!, RECEIVED)
    releaseNamed(this.#session, ids.length)
  }

  /** Gives back every message that has not been released or sent on; see {@link BufferPtr.nack}. */
  nack(): void {
    // Without leases there is nothing to give back.
    if (this.#messages === undefined) return this.release()
    for (const message of this.#messages) message.nack()
  }

  /** The same as {@link Batch.release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }

  #all(): BufferPtr[] {
    if (this.#messages !== undefined) return this.#messages
    const messages = this.#ids.map((id, i) => new BufferPtr(this.#session, id, i === 0 ? this.#gap : 0, RECEIVED, 1))
    if (this.#released) messages.forEach(markReleased)
    return (this.#messages = messages)
  }
}

isNoValue(Batch)
