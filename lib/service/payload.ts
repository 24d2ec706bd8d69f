import type { SharedBufferAllocator } from '../memory/allocator.js'
import { BufferPtr, idOf, nameToSend } from '../memory/buffer-ptr.js'
import type { Encoded, NamedCodec } from '../codec/codec.js'
import { bytesCodec } from '../codec/codec.js'
import { invalidArgument, MillraceError } from '../errors.js'
import type { Limits } from '../session/limits.js'
import type { Session } from '../session/session.js'
import { byteLengthOf, store } from '../memory/store.js'
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
    return encoded instanceof BufferPtr
      ? encoded
      : this.#fill(this.#allocator.allocate(byteLengthOf(encoded)), encoded, value, request)
  }

  /** The same, waiting while the pool is exhausted. */
  async packLater(value: unknown, request: BufferPtr | undefined, limits: Limits): Promise<BufferPtr> {
    const encoded = this.#encode(value, request)
    if (encoded instanceof BufferPtr) return encoded
    return this.#fill(await this.#allocator.allocateWithin(byteLengthOf(encoded), limits), encoded, value, request)
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
      if (value instanceof Uint8Array) return bytesCodec.encode(value)
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

  #fill(buffer: BufferPtr, encoded: Encoded, value: unknown, request: BufferPtr | undefined): BufferPtr {
    try {
      store(this.#session, idOf(buffer), encoded)
      if (value instanceof BufferPtr) {
        buffer.timestamp = value.timestamp
        buffer.timestampKind = value.timestampKind
        buffer.typeId = value.typeId
        if (value !== request) value.release()
      }
    } catch (error) {
      buffer.release()
      throw error
    }
    return buffer
  }
}

/** Whether `error` says that the pool is exhausted, which passes. */
export function isExhausted(error: unknown): boolean {
  return error instanceof MillraceError && error.code === 'ERR_MILLRACE_EXHAUSTED'
}
