/** Bytes of a frame's header, which says how long the message is. */
export const HEADER_BYTES = 4

/**
 * Cuts a stream of bytes into messages: views of the chunks that came, where a message lies within one; else put together,
 * so that each byte is copied once at most.
 */
export class FrameParser {
  readonly #handler: (message: Uint8Array) => void
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #message: Buffer | undefined
  #messageBytes = 0

  constructor(handler: (message: Uint8Array) => void) {
    this.#handler = handler
  }

  push(chunk: Buffer): void {
    const { length, buffer, byteOffset } = chunk
    let at = 0
    if (this.#message !== undefined || this.#headerBytes > 0) at = this.#finish(chunk)
    while (length - at >= HEADER_BYTES) {
      const bytes = chunk.readUInt32LE(at)
      const from = at + HEADER_BYTES
      if (from + bytes > length) {
        this.#begin(bytes, chunk.subarray(from))
        return
      }
      this.#handler(new Uint8Array(buffer, byteOffset + from, bytes))
      at = from + bytes
    }
    this.#headerBytes = chunk.copy(this.#header, 0, at)
  }

  /** Goes on with what the last chunk began; answers where the next frame starts. */
  #finish(chunk: Buffer): number {
    let at = 0
    if (this.#message === undefined) {
      at = chunk.copy(this.#header, this.#headerBytes, 0, HEADER_BYTES - this.#headerBytes)
      this.#headerBytes += at
      if (this.#headerBytes < HEADER_BYTES) return chunk.length
      this.#headerBytes = 0
      this.#begin(this.#header.readUInt32LE(0), chunk.subarray(at, at))
    }
    const message = this.#message!
    const more = chunk.copy(message, this.#messageBytes, at)
    this.#messageBytes += more
    if (this.#messageBytes === message.length) {
      this.#message = undefined
      this.#handler(message)
    }
    return at + more
  }

  #begin(bytes: number, first: Buffer): void {
    this.#headerBytes = 0
    this.#message = Buffer.allocUnsafe(bytes)
    this.#messageBytes = first.copy(this.#message)
  }
}
