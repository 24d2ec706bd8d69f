import type { Encoded, NamedCodec } from '../codec/codec.js'
import { isBytes } from '../codec/views.js'
import { invalidArgument } from '../errors.js'
import { BufferPtr, idOf, nameToSend, NO_ID } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { byteLengthOf, detachEncoded, storeEncoded, storeLater } from '../memory/store.js'
import type { Limits } from '../session/limits.js'
import type { Session } from '../session/session.js'
import { references } from './envelope.js'

/** Values to buffers and back. Without a codec the values are buffers. */
export class Payload<T> {
  /** Messages copied because their buffer was shared. */
  copied = 0
  readonly #session: Session
  readonly #codec: NamedCodec<T> | undefined

  constructor(session: Session, codec: NamedCodec<T> | undefined) {
    this.#session = session
    this.#codec = codec
  }

  /**
   * `value` in a buffer that is nobody else's, so that it can bear an envelope; undefined: there is no memory now. A buffer is used as
   * it is: `request`, which its client refers to as well, included. What others refer to is copied, and released unless it is the
   * request.
   */
  tryPack(value: unknown, request?: BufferPtr): BufferPtr | undefined {
    const encoded = this.#encode(value, request)
    if (encoded instanceof BufferPtr) return encoded
    const id = storeEncoded(this.#session, encoded)
    if (id === NO_ID) return undefined
    return this.#replace(new BufferPtr(this.#session, id), value, request)
  }

  /** The same, waiting while there is no memory. */
  async packLater(value: unknown, limits: Limits, request?: BufferPtr): Promise<BufferPtr> {
    const encoded = this.#encode(value, request)
    if (encoded instanceof BufferPtr) return encoded
    // What it is now: the value may change while we wait.
    const buffer = await storeLater(this.#session, detachEncoded(encoded), limits, true)
    return this.#replace(buffer, value, request)
  }

  /**
   * `value` as it is now, for a call that sends it later. A buffer is taken over at once: its owner may let go of it, or be rid of it,
   * from now on.
   */
  take(value: unknown): unknown {
    if (!(value instanceof BufferPtr)) return new TakenValue(detachEncoded(this.#encode(value, undefined) as Encoded))
    if (value.released) return value
    try {
      return value.share()
    } finally {
      discard(value)
    }
  }

  /** Why there is no memory for `value`. */
  exhausted(value: unknown): Error {
    const encoded = this.#encode(value, undefined)
    const bytes = encoded instanceof BufferPtr ? encoded.length : byteLengthOf(encoded)
    return this.#session.exhaustedFailure(bytes)
  }

  /** The value in `message`, which is released unless it is the value. */
  unpack(message: BufferPtr): T {
    if (this.#codec === undefined) return message as T
    try {
      return this.#codec.decode(message.bytes)
    } finally {
      message.release()
    }
  }

  /** The value in `message`, which is left alone. */
  peek(message: BufferPtr): T {
    return this.#codec === undefined ? (message as T) : this.#codec.decode(message.bytes)
  }

  #encode(value: unknown, request: BufferPtr | undefined): Encoded | BufferPtr {
    if (value instanceof TakenValue) return value.encoded
    if (!(value instanceof BufferPtr)) {
      if (this.#codec !== undefined) return this.#codec.encode(value as T)
      if (isBytes(value)) return value
      throw invalidArgument('what a service without codec sends', 'a BufferPtr or a Uint8Array', value)
    }
    // It must be alive, and of this manager: its id alone could be somebody else's.
    nameToSend(0, value, this.#session)
    const others = references(this.#session, value) - 1
    const isRequest = request !== undefined && !request.released && idOf(request) === idOf(value)
    if (others <= 0 || (isRequest && others <= 1)) return value
    return value.bytes
  }

  /** `copy` takes the place of `value`, with what that says beside its bytes. */
  #replace(copy: BufferPtr, value: unknown, request: BufferPtr | undefined): BufferPtr {
    if (!(value instanceof BufferPtr)) return copy
    if (value.released) {
      copy.release()
      throw invalidArgument('what a service sends', 'a buffer that is not released meanwhile', value)
    }
    this.copied++
    copy.timestamp = value.timestamp
    copy.timestampKind = value.timestampKind
    copy.typeId = value.typeId
    if (value !== request) value.release()
    return copy
  }
}

/** A value that has been encoded when it was given. */
class TakenValue {
  readonly encoded: Encoded

  constructor(encoded: Encoded) {
    this.encoded = encoded
  }
}
