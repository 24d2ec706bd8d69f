import type { BufferPtr } from '../memory/buffer-ptr.js'
import { letGo, messageAt, NO_ID } from '../memory/buffer-ptr.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_CLOSED, STATUS_EMPTY, STATUS_NOT_FOUND, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { BlockingOptions, Limits } from '../session/limits.js'
import { isReceiptHeard, tellReceived } from '../session/passing.js'
import type { Taken } from '../session/pull-iterator.js'
import type { Session } from '../session/session.js'
import type { WaitKey } from '../session/wait-key.js'
import { dataIn } from '../session/wait-key.js'
import { Batch } from './batch.js'

/** The receiving side of a queue. */
export class Receiver {
  readonly #session: Session
  readonly #queue: number
  readonly #subject: string
  readonly #data: WaitKey
  readonly #noMessage: string

  constructor(session: Session, queue: number, subject: string) {
    this.#session = session
    this.#queue = queue
    this.#subject = subject
    this.#data = dataIn(queue)
    this.#noMessage = `no message arrived on ${subject}`
  }

  take(): Taken<BufferPtr> {
    const status = native.receive(this.#session.handle, this.#queue, 1)
    return status === STATUS_OK ? this.#came() : this.nothing(status)
  }

  /** Releases `done`, if there is one, and takes the next message. */
  takeAfter(done: BufferPtr | undefined): Taken<BufferPtr> {
    const id = done === undefined ? NO_ID : letGo(done)
    if (id === NO_ID) return this.take()
    const status = native.next(this.#session.handle, this.#queue, id)
    return status === STATUS_OK ? this.#came() : this.nothing(status)
  }

  /**
   * Appends up to `max` messages to `messages`, {@link BATCH_MAX} at a crossing. What has come is never lost to a failure behind it:
   * the next call meets that again.
   */
  takeMany(max: number, messages: BufferPtr[]): void {
    while (messages.length < max) {
      const count = Math.min(max - messages.length, BATCH_MAX)
      const status = native.receive(this.#session.handle, this.#queue, count)
      if (status !== STATUS_OK) {
        if (messages.length === 0) this.nothing(status)
        return
      }
      const known = messages.length
      for (let i = 0, n = native.resultCount(); i < n; i++) messages.push(messageAt(this.#session, i))
      if (isReceiptHeard()) tellReceived(this.#session, this.#subject, messages.slice(known))
    }
  }

  /** Up to `max` messages as one batch. */
  takeBatch(max: number): Taken<Batch> {
    const status = native.receive(this.#session.handle, this.#queue, Math.min(max, BATCH_MAX))
    if (status !== STATUS_OK) return this.nothing(status)
    const batch = new Batch(this.#session, native.resultCount())
    if (isReceiptHeard()) tellReceived(this.#session, this.#subject, batch)
    return batch
  }

  peek(): BufferPtr | null {
    const status = native.peek(this.#session.handle, this.#queue)
    return status === STATUS_OK ? messageAt(this.#session, 0) : (this.nothing(status) ?? null)
  }

  /** Waits until `attempt`, one of the takes, finds something or the end. */
  wait<T>(limits: Limits, attempt: () => Taken<T>, tried = false): Promise<T | null> {
    return this.#session.waits.wait(this.#data, limits, this.#noMessage, attempt, tried)
  }

  /** Blocks until there is a message or the end. */
  takeSync(options: BlockingOptions | undefined): BufferPtr | null {
    return this.#session.waits.waitSync(this.#data, options, this.#noMessage, () => this.take())
  }

  /** What a status means that brings no message; throws if it is a failure. */
  nothing(status: native.Status): undefined | null {
    if (status === STATUS_EMPTY || status === STATUS_NOT_FOUND) return undefined
    if (status === STATUS_CLOSED) return null
    throw this.#session.failure(status, this.#subject)
  }

  /** The message that was received. */
  #came(): BufferPtr {
    const message = messageAt(this.#session, 0)
    if (isReceiptHeard()) tellReceived(this.#session, this.#subject, [message])
    return message
  }
}
