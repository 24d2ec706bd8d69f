import type { BufferPtr } from '../memory/buffer-ptr.js'
import { releaseAll } from '../memory/buffer-ptr.js'
import type { NamedCodec } from '../codec/codec.js'
import { bytesCodec } from '../codec/codec.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_OK, STATUS_TOO_LARGE } from '../native/generated/codes.js'
import type { Inbox, Taken } from './receiver.js'
import * as native from '../native/native.js'
import type { WaitOptions } from '../options.js'
import type { Session } from '../session/session.js'

/** A message on its way to be decoded: a copy of it, or itself if it is large or must be acknowledged. */
type Raw = Uint8Array<ArrayBuffer> | BufferPtr

/**
 * Takes values out of a queue. Small messages come over the stage: native code takes, copies and frees them in one crossing. Others
 * are decoded where they lie, then released.
 */
export class Getter {
  readonly #session: Session
  readonly #inbox: Inbox
  readonly #queue: number
  /** Errors of messages that could not be decoded, to be thrown by {@link Getter.getMany}. */
  readonly #failures: unknown[] = []

  constructor(session: Session, inbox: Inbox, queue: number) {
    this.#session = session
    this.#inbox = inbox
    this.#queue = queue
  }

  /** The next value; undefined: nothing now, or nothing ever again. */
  tryGet<T>(codec: NamedCodec<T>): T | undefined {
    const raw = this.#take()
    return raw ? decode(codec, raw) : undefined
  }

  /** The next value, in a box; null: nothing ever again. `find` answers the codec once the queue is there. */
  async get<T>(options: WaitOptions | undefined, find: () => NamedCodec<T> | undefined): Promise<{ value: T } | null> {
    const raw = await this.#inbox.wait(options, () => find() && this.#take())
    // It is there: something came.
    return raw && { value: decode(find()!, raw) }
  }

  /** Up to `max` values. Each error is thrown once, by the first call that has no values to answer. */
  getMany<T>(codec: NamedCodec<T>, max: number): T[] {
    const values: T[] = []
    const failures = this.#failures
    // What was given back is first in line: to go on after a failure would be to meet it again.
    while (failures.length === 0 && values.length < max && this.#getSome(codec, max - values.length, values));
    if (values.length === 0 && failures.length > 0) throw failures.shift()
    return values
  }

  #take(): Taken<Raw> {
    const status = native.get(this.#session.handle, this.#queue, 1)
    if (status === STATUS_OK) return native.stage.slice(0, native.lengthAt(0))
    return status === STATUS_TOO_LARGE ? this.#inbox.take() : this.#inbox.nothing(status)
  }

  /** Appends to `values`, {@link BATCH_MAX} at most. False: there was nothing. */
  #getSome<T>(codec: NamedCodec<T>, max: number, values: T[]): boolean {
    const status = native.get(this.#session.handle, this.#queue, Math.min(max, BATCH_MAX))
    if (status === STATUS_TOO_LARGE) return this.#getLarge(codec, max, values)
    if (status !== STATUS_OK) {
      this.#inbox.nothing(status)
      return false
    }
    const found = native.resultCount()
    if ((codec as NamedCodec<unknown>) === bytesCodec) {
      for (let i = 0, from = 0; i < found; i++) {
        const end = from + native.lengthAt(i)
        values.push(native.stage.slice(from, end) as T)
        from = end
      }
      return true
    }
    // Copied first: decoding may run user code, which may use the stage.
    for (const bytes of native.takeStaged(found)) this.#decode(codec, bytes, values)
    return true
  }

  /** The same for messages that are not for the stage. */
  #getLarge<T>(codec: NamedCodec<T>, max: number, values: T[]): boolean {
    const messages = this.#inbox.takeMany(max)
    if (!messages) return false
    for (const message of messages) if (!this.#decode(codec, message.bytes, values)) message.nack()
    releaseAll(this.#session, messages)
    return true
  }

  #decode<T>(codec: NamedCodec<T>, bytes: Uint8Array, values: T[]): boolean {
    try {
      values.push(codec.decode(bytes))
      return true
    } catch (error) {
      this.#failures.push(error)
      return false
    }
  }
}

/** The value of a message, which is let go of: released, or given back if it cannot be decoded. */
function decode<T>(codec: NamedCodec<T>, raw: Raw): T {
  if (raw instanceof Uint8Array) {
    return (codec as NamedCodec<unknown>) === bytesCodec ? (raw as T) : codec.decode(raw)
  }
  let value: T
  try {
    value = codec.decode(raw.bytes)
  } catch (error) {
    raw.nack()
    throw error
  }
  raw.release()
  return value
}
