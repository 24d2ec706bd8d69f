import { BufferPtr } from './buffer-ptr.js'
import type { NamedCodec } from './codec.js'
import { bytesCodec } from './codec.js'
import { BATCH_MAX } from './generated/block.js'
import { STATUS_CLOSED, STATUS_EMPTY, STATUS_NOT_FOUND, STATUS_OK } from './generated/codes.js'
import * as native from './native.js'
import type { BlockingOptions, WaitOptions } from './options.js'
import type { Session } from './session.js'
import { giveBack, releaseNamed } from './settle.js'
import type { Target } from './target.js'
import { dataIn } from './target.js'

/** Undefined: nothing now. Null: nothing ever again, the queue is closed and drained. */
export type Taken<T> = T | undefined | null

/** The receiving side of a queue. */
export class Inbox {
  readonly #session: Session
  readonly #queue: number
  readonly #subject: string
  readonly #data: Target
  readonly #noMessage: string
  /** Errors of messages that could not be decoded, to be thrown by {@link Inbox.readMany}. */
  readonly #failures: unknown[] = []

  constructor(session: Session, queue: number, subject: string) {
    this.#session = session
    this.#queue = queue
    this.#subject = subject
    this.#data = dataIn(queue)
    this.#noMessage = `no message arrived on ${subject}`
  }

  take(): Taken<BufferPtr> {
    const status = native.receive(this.#session.handle, this.#queue, 1)
    return status === STATUS_OK ? this.#message(0) : this.#nothing(status)
  }

  /** Up to `max` messages, at most {@link BATCH_MAX}. */
  takeMany(max: number): Taken<BufferPtr[]> {
    const status = native.receive(this.#session.handle, this.#queue, Math.min(max, BATCH_MAX))
    if (status !== STATUS_OK) return this.#nothing(status)
    const messages: BufferPtr[] = []
    for (let i = 0, n = native.resultCount(); i < n; i++) messages.push(this.#message(i))
    return messages
  }

  peek(): BufferPtr | null {
    const status = native.peek(this.#session.handle, this.#queue)
    return status === STATUS_OK ? this.#message(0) : (this.#nothing(status) ?? null)
  }

  /** Waits until `attempt`, one of the takes, finds something or the end. */
  wait<T>(options: WaitOptions | undefined, attempt: () => Taken<T>): Promise<T | null> {
    return this.#session.waiting.wait(this.#data, options, this.#noMessage, attempt)
  }

  /** Blocks until there is a message or the end. */
  takeSync(options: BlockingOptions | undefined): BufferPtr | null {
    return this.#session.waiting.waitSync(this.#data, options, this.#noMessage, () => this.take())
  }

  /**
   * Takes a message and decodes it in place; its buffer is free again before this returns. One that cannot be decoded is
   * given back. Undefined: nothing.
   */
  read<T>(codec: NamedCodec<T>): T | undefined {
    const session = this.#session
    const status = native.receive(session.handle, this.#queue, 1)
    if (status !== STATUS_OK) return this.#nothing(status) ?? undefined
    const id = native.idAt(0)
    const lease = native.leaseAt(0)
    let value: T
    try {
      value = this.#decode(codec, id)
    } catch (error) {
      giveBack(session, id, lease)
      throw error
    }
    native.setId(0, id, lease)
    releaseNamed(session, 1)
    return value
  }

  /** The same for up to `max` messages. Each error is thrown once, by the first call that has no values to answer. */
  readMany<T>(codec: NamedCodec<T>, max: number): T[] {
    const values: T[] = []
    const failures = this.#failures
    // What was given back is first in line: to go on after a failure would be to meet it again.
    while (failures.length === 0 && values.length < max && this.#readSome(codec, max - values.length, values));
    if (values.length === 0 && failures.length > 0) throw failures.shift()
    return values
  }

  /** Appends to `values`, {@link BATCH_MAX} at most. False: there was nothing. */
  #readSome<T>(codec: NamedCodec<T>, max: number, values: T[]): boolean {
    const session = this.#session
    const status = native.receive(session.handle, this.#queue, Math.min(max, BATCH_MAX))
    if (status !== STATUS_OK) {
      this.#nothing(status)
      return false
    }
    const found = native.resultCount()
    const saved = native.saveResults(found)
    let decoded = 0
    for (let i = 0; i < found; i++) {
      try {
        values.push(this.#decode(codec, native.savedId(saved, i)))
        if (decoded < i) native.moveSaved(saved, decoded, i)
        decoded++
      } catch (error) {
        this.#failures.push(error)
        giveBack(session, native.savedId(saved, i), native.savedLease(saved, i))
      }
    }
    native.nameSaved(saved)
    releaseNamed(session, decoded)
    return true
  }

  #decode<T>(codec: NamedCodec<T>, id: number): T {
    const segment = this.#session.segments.of(id)
    // A copy straight from the segment spares the view.
    if ((codec as NamedCodec<unknown>) === bytesCodec) return segment.copy(id) as T
    return codec.decode(segment.view(id))
  }

  #message(index: number): BufferPtr {
    const gap = native.gapAt(index)
    return new BufferPtr(this.#session, native.idAt(index), gap, native.leaseAt(index), native.attemptAt(index))
  }

  #nothing(status: native.Status): undefined | null {
    if (status === STATUS_EMPTY || status === STATUS_NOT_FOUND) return undefined
    if (status === STATUS_CLOSED) return null
    throw this.#session.failure(status, this.#subject)
  }
}
