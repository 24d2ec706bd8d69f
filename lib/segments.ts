import { HEADER_LENGTH, HEADER_LONGS, HEADER_WORDS, INDEX_BITS, INDEX_MASK } from './generated/layout.js'
import type { BindingSegment } from './native.js'

/** One mapped pool segment: buffers of equal size, and their headers. */
export class Segment {
  /** The whole payload; its length is 0 once somebody detached the mapping. */
  readonly payload: Uint8Array
  /** Bytes from one buffer to the next, which is the capacity of each. */
  readonly stride: number
  readonly #buffer: ArrayBufferLike
  readonly #words: Uint32Array
  readonly #longs: BigUint64Array

  constructor({ payload, headers, stride }: BindingSegment) {
    this.payload = new Uint8Array(payload)
    this.stride = stride
    this.#buffer = payload
    this.#words = new Uint32Array(headers)
    this.#longs = new BigUint64Array(headers)
  }

  /** Where buffer `id` begins in the payload. */
  offset(id: number): number {
    return (id & INDEX_MASK) * this.stride
  }

  /** Bytes of buffer `id` in use, never more than it has whatever another process wrote. */
  length(id: number): number {
    return Math.min(this.word(id, HEADER_LENGTH), this.stride)
  }

  setLength(id: number, length: number): void {
    this.setWord(id, HEADER_LENGTH, length)
  }

  /** The bytes of buffer `id` in use. */
  view(id: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.offset(id), this.length(id))
  }

  /** A copy of the bytes of buffer `id` in use, outside shared memory. */
  copy(id: number): Uint8Array<ArrayBuffer> {
    const offset = this.offset(id)
    return this.payload.slice(offset, offset + this.length(id))
  }

  word(id: number, field: number): number {
    return this.#words[(id & INDEX_MASK) * HEADER_WORDS + field]!
  }

  setWord(id: number, field: number, value: number): void {
    this.#words[(id & INDEX_MASK) * HEADER_WORDS + field] = value
  }

  /** Replaces `expected` in a word that other processes change too. Answers what was there: `expected` if it was replaced. */
  exchangeWord(id: number, field: number, expected: number, value: number): number {
    return Atomics.compareExchange(this.#words, (id & INDEX_MASK) * HEADER_WORDS + field, expected, value)
  }

  long(id: number, field: number): bigint {
    return this.#longs[(id & INDEX_MASK) * HEADER_LONGS + field]!
  }

  setLong(id: number, field: number, value: bigint): void {
    this.#longs[(id & INDEX_MASK) * HEADER_LONGS + field] = value
  }
}

/** The segments this participant has mapped, each once. */
export class Segments {
  readonly #map: (index: number) => BindingSegment
  readonly #segments: Segment[] = []

  constructor(map: (index: number) => BindingSegment) {
    this.#map = map
  }

  /** The segment of buffer `id`; mapped anew if user code detached the one we had. */
  of(id: number): Segment {
    const segment = this.#segments[id >>> INDEX_BITS]
    return segment !== undefined && segment.payload.length !== 0 ? segment : this.#attach(id >>> INDEX_BITS)
  }

  #attach(index: number): Segment {
    const segment = new Segment(this.#map(index))
    this.#segments[index] = segment
    return segment
  }
}
