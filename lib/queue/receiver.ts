import { Batch } from './batch.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { letGo, messageAt, NOTHING } from '../memory/buffer-ptr.js'
import type { Limits } from '../session/ending.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_CLOSED, STATUS_EMPTY, STATUS_NOT_FOUND, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { BlockingOptions } from '../options.js'
import type { Session } from '../session/session.js'
import type { Target } from '../session/wait-key.js'
import { dataIn } from '../session/wait-key.js'

/** Undefined: nothing now. Null: nothing ever again, the queue is closed and drained. */
export type Taken<T> = T | undefined | null

/** The receiving side of a queue. */
export class Inbox {
  readonly #session: Session
  readonly #queue: number
  readonly #subject: string
  readonly #data: Target
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
    return status === STATUS_OK ? messageAt(this.#session, 0) : this.nothing(status)
  }

  /** Releases `done`, if there is one, and takes the next message. */
  takeAfter(done: BufferPtr | undefined): Taken<BufferPtr> {
    const id = done === undefined ? NOTHING : letGo(done)
    if (id === NOTHING) return this.take()
    const status = native.next(this.#session.handle, this.#queue, id)
    return status === STATUS_OK ? messageAt(this.#session, 0) : this.nothing(status)
  }

  /** Up to `max` messages, at most {@link BATCH_MAX}. */
  takeMany(max: number): Taken<BufferPtr[]> {
    const status = native.receive(this.#session.handle, this.#queue, Math.min(max, BATCH_MAX))
    if (status !== STATUS_OK) return this.nothing(status)
    const messages: BufferPtr[] = []
    for (let i = 0, n = native.resultCount(); i < n; i++) messages.push(messageAt(this.#session, i))
    return messages
  }

  /** The same as one batch. */
  takeBatch(max: number): Taken<Batch> {
    const status = native.receive(this.#session.handle, this.#queue, Math.min(max, BATCH_MAX))
    return status === STATUS_OK ? new Batch(this.#session, native.resultCount()) : this.nothing(status)
  }

  peek(): BufferPtr | null {
    const status = native.peek(this.#session.handle, this.#queue)
    return status === STATUS_OK ? messageAt(this.#session, 0) : (this.nothing(status) ?? null)
  }

  /** Waits until `attempt`, one of the takes, finds something or the end. */
  wait<T>(options: Limits | undefined, attempt: () => Taken<T>): Promise<T | null> {
    return this.#session.waiting.wait(this.#data, options, this.#noMessage, attempt)
  }

  /** Blocks until there is a message or the end. */
  takeSync(options: BlockingOptions | undefined): BufferPtr | null {
    return this.#session.waiting.waitSync(this.#data, options, this.#noMessage, () => this.take())
  }

  /** What an answer means that brings no message; throws if it is a failure. */
  nothing(status: native.Status): undefined | null {
    if (status === STATUS_EMPTY || status === STATUS_NOT_FOUND) return undefined
    if (status === STATUS_CLOSED) return null
    throw this.#session.failure(status, this.#subject)
  }
}
