import type { NamedCodec } from '../codec/codec.js'
import { bytesCodec } from '../codec/codec.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { releaseAll } from '../memory/buffer-ptr.js'
import { putBack } from '../memory/discard.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_OK, STATUS_TOO_LARGE } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { Limits } from '../session/limits.js'
import { isReceiptHeard } from '../session/passing.js'
import type { PullSource, Taken } from '../session/pull-iterator.js'
import type { Session } from '../session/session.js'
import type { Receiver } from './receiver.js'
import { takeStaged } from './staging.js'

/** A message on its way to be decoded: a copy of it, or itself if it is large or must be acknowledged. */
export type RawMessage = Uint8Array<ArrayBuffer> | BufferPtr

/**
 * Takes values out of a queue. Small messages come over the stage: native code takes, copies and frees them in one crossing. Others
 * are decoded from where they lie, then released.
 */
export class ValueReader {
  readonly #session: Session
  readonly #receiver: Receiver
  readonly #queue: number
  /** What the codec threw, to be thrown by the next {@link ValueReader.getMany} that has no values to return. */
  readonly #failures: unknown[] = []

  constructor(session: Session, receiver: Receiver, queue: number) {
    this.#session = session
    this.#receiver = receiver
    this.#queue = queue
  }

  /** The next value; undefined: nothing now, or nothing ever again. */
  tryGet<T>(codec: NamedCodec<T>): T | undefined {
    const raw = this.take()
    return raw ? decode(codec, raw) : undefined
  }

  take(): Taken<RawMessage> {
    // The stage does not say what is told of a message.
    if (isReceiptHeard()) return this.#receiver.take()
    const status = native.get(this.#session.handle, this.#queue, 1)
    if (status === STATUS_OK) return native.stage.slice(0, native.lengthAt(0))
    return status === STATUS_TOO_LARGE ? this.#receiver.take() : this.#receiver.nothing(status)
  }

  /** Waits for the next message; null: nothing ever again. `find` returns the codec once the queue is there. */
  wait<T>(limits: Limits, find: () => NamedCodec<T> | undefined): Promise<RawMessage | null> {
    return this.#receiver.wait(limits, () => find() && this.take())
  }

  /** Up to `max` values. Each error is thrown once, by the first call that has no values to return. */
  getMany<T>(codec: NamedCodec<T>, max: number): T[] {
    const values: T[] = []
    const failures = this.#failures
    try {
      // What was given back is first in line: to go on after a failure would be to meet it again.
      while (failures.length === 0 && values.length < max && this.#getSome(codec, max - values.length, values));
    } catch (error) {
      // What has come is not lost to it: the next call meets it again.
      if (values.length === 0) throw error
    }
    if (values.length === 0 && failures.length > 0) throw failures.shift()
    return values
  }

  /** Appends to `values`, {@link BATCH_MAX} at most. False: there was nothing. */
  #getSome<T>(codec: NamedCodec<T>, max: number, values: T[]): boolean {
    if (isReceiptHeard()) return this.#getLarge(codec, max, values)
    const status = native.get(this.#session.handle, this.#queue, Math.min(max, BATCH_MAX))
    if (status === STATUS_TOO_LARGE) return this.#getLarge(codec, max, values)
    if (status !== STATUS_OK) {
      this.#receiver.nothing(status)
      return false
    }
    const found = native.resultCount()
    if ((codec as NamedCodec<unknown>) === bytesCodec) {
      takeStaged(found, values as unknown[] as Uint8Array<ArrayBuffer>[])
      return true
    }
    // Copied first: decoding may run user code, which may use the stage.
    for (const message of takeStaged(found)) this.#decode(codec, message, values)
    return true
  }

  /** The same without the stage. */
  #getLarge<T>(codec: NamedCodec<T>, max: number, values: T[]): boolean {
    const messages: BufferPtr[] = []
    this.#receiver.takeMany(Math.min(max, BATCH_MAX), messages)
    for (const message of messages) if (!this.#decode(codec, message.bytes, values)) message.nack()
    releaseAll(this.#session, messages)
    return messages.length > 0
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
export function decode<T>(codec: NamedCodec<T>, raw: RawMessage): T {
  const value = valueOf(codec, raw)
  acknowledge(raw)
  return value
}

/** The value of a message, which is given back if it cannot be decoded. */
function valueOf<T>(codec: NamedCodec<T>, raw: RawMessage): T {
  if (raw instanceof Uint8Array) {
    return (codec as NamedCodec<unknown>) === bytesCodec ? (raw as T) : codec.decode(raw)
  }
  try {
    return codec.decode(raw.bytes)
  } catch (error) {
    putBack(raw)
    throw error
  }
}

/** Where an iterator over the values of `reader` finds them. `find` returns the codec once the queue is there. */
export function valuesFrom<T>(reader: ValueReader, find: () => NamedCodec<T> | undefined): PullSource<RawMessage, T> {
  const take = (done?: RawMessage) => {
    if (done !== undefined) acknowledge(done)
    return find() && reader.take()
  }
  return {
    take,
    wait: (limits) => reader.wait(limits, find),
    value: (raw) => valueOf(find()!, raw),
    release: acknowledge,
    giveBack(raw) {
      if (!(raw instanceof Uint8Array)) raw.nack()
    },
  }
}

function acknowledge(raw: RawMessage): void {
  if (!(raw instanceof Uint8Array)) raw.release()
}
