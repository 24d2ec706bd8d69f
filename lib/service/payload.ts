import type { SharedBufferAllocator } from '../memory/allocator.js'
import { BufferPtr, idOf, nameToSend, NO_ID } from '../memory/buffer-ptr.js'
import type { Encoded, NamedCodec } from '../codec/codec.js'
import { isBytes } from '../codec/views.js'
import { invalidArgument, MillraceError } from '../errors.js'
import type { Limits } from '../session/limits.js'
import type { Session } from '../session/session.js'
import { byteLengthOf, detachEncoded, storeEncoded, storeLater } from '../memory/store.js'
import { STATUS_EXHAUSTED } from '../native/generated/codes.js'
import { references } from './envelope.js'

/** Values to buffers and back. Without a codec the values are buffers. */
export class Payload<T> {
  /** Messages copied because their buffer was shared. */
  copied = 0
  readonly #session: Session
  readonly #allocator: SharedBufferAllocator
  readonly #codec: NamedCodec<T> | undefined

  constructor(session: Session, allocator: SharedBufferAllocator, codec: NamedCodec<T> | undefined) {
    this.#session = session
    this.#allocator = allocator
    this.#codec = codec
  }

  /**
   * `value` in a buffer that is nobody else's, so that it can bear an envelope. Such a buffer is used as it is: `request`, which
   * its client refers to as well, included. What others refer to is copied, and released unless it is the request.
   * @throws {@link MillraceError} `ERR_MILLRACE_EXHAUSTED`
   */
  pack(value: unknown, request?: BufferPtr): BufferPtr {
    const encoded = this.#encode(value, request)
    if (encoded instanceof BufferPtr) return encoded
    const id = storeEncoded(this.#session, encoded)
    if (id === NO_ID) throw this.#session.allocationFailure(STATUS_EXHAUSTED, byteLengthOf(encoded))
    return this.#replace(value, new BufferPtr(this.#session, id, 0, 0, 0), request)
  }

  /** The same, waiting while the pool is exhausted. */
  async packLater(value: unknown, request: BufferPtr | undefined, limits: Limits): Promise<BufferPtr> {
    const encoded = this.#encode(value, request)
    if (encoded instanceof BufferPtr) return encoded
    const copy = await storeLater(this.#session, this.#allocator, detachEncoded(encoded), limits, true)
    return this.#replace(value, copy, request)
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
    if (!(value instanceof BufferPtr)) {
      if (this.#codec !== undefined) return this.#codec.encode(value as T)
      if (isBytes(value)) return value
      throw invalidArgument('what a service without codec sends', 'a BufferPtr or a Uint8Array', value)
    }
    // It must be alive, and of this manager: its id alone could be somebody else's.
    nameToSend(0, value, this.#session)
    const id = idOf(value)
    const others = references(this.#session.segments.of(id), id) - 1
    const isRequest = request !== undefined && !request.released && idOf(request) === id
    if (others <= 0 || (isRequest && others <= 1)) return value
    this.copied++
    return value.bytes
  }

  /** `copy` instead of `value`, if that was a buffer: with its metadata, and `value` is released unless it is the request. */
  #replace(value: unknown, copy: BufferPtr, request: BufferPtr | undefined): BufferPtr {
    if (!(value instanceof BufferPtr)) return copy
    try {
      copy.timestamp = value.timestamp
      copy.timestampKind = value.timestampKind
      copy.typeId = value.typeId
      if (value !== request) value.release()
    } catch (error) {
      copy.release()
      throw error
    }
    return copy
  }
}

/** Whether `error` says that the pool is exhausted, which passes. */
export function isExhausted(error: unknown): boolean {
  return error instanceof MillraceError && error.code === 'ERR_MILLRACE_EXHAUSTED'
}
