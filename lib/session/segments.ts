import { Buffer } from 'node:buffer'
import {
  CELL_SHIFT,
  CELL_UNIT_BITS,
  HEADER_BYTES,
  HEADER_CAPACITY,
  HEADER_LENGTH,
  HEADER_LONGS,
  HEADER_WORDS,
  INDEX_BITS,
  INDEX_MASK,
  SEGMENT_MASK,
} from '../native/generated/layout.js'
import { type BindingSegment, remaps } from '../native/native.js'
import type { AllMessages, Messages } from './messages.js'

/** Views that are kept for the next message at the same place, at most: making one costs more than everything else about a message. */
const VIEWS = 4096
/** Bytes are so many bits of a word index, and of one of 64 bits. */
const WORD_BITS = 2
const LONG_BITS = 3

/**
 * One mapped pool segment: buffers of equal size, and their headers. Small messages may share a buffer; the id of such a one names the
 * cell that it is in, too, where its header comes before its bytes.
 */
class Segment implements Messages {
  /** The whole payload; its length is 0 once somebody detached the mapping. */
  readonly payload: Uint8Array<ArrayBuffer>
  /** Bytes from one buffer to the next. */
  readonly stride: number
  readonly #buffer: ArrayBuffer
  readonly #words: Uint32Array
  readonly #longs: BigUint64Array
  readonly #cellWords: Uint32Array
  readonly #cellLongs: BigUint64Array
  readonly #views: (Uint8Array<ArrayBuffer> | undefined)[] = new Array<undefined>(VIEWS)
  // Where and how long they are: to ask a view costs as much as to make one.
  readonly #offsets = new Int32Array(VIEWS)
  readonly #lengths = new Int32Array(VIEWS)

  constructor({ payload, headers, stride }: BindingSegment) {
    this.payload = new Uint8Array(payload)
    this.stride = stride
    this.#buffer = payload
    this.#words = new Uint32Array(headers)
    this.#longs = new BigUint64Array(headers)
    this.#cellWords = new Uint32Array(payload)
    this.#cellLongs = new BigUint64Array(payload)
  }

  // Never more than there is room for, whatever another process wrote.
  capacity(id: number): number {
    if (id >>> CELL_SHIFT === 0) return this.stride
    const room = this.#whole(id) + this.stride - this.#cell(id) - HEADER_BYTES
    return Math.min(this.word(id, HEADER_CAPACITY), room)
  }

  length(id: number): number {
    return Math.min(this.word(id, HEADER_LENGTH), this.capacity(id))
  }

  setLength(id: number, length: number): void {
    this.setWord(id, HEADER_LENGTH, length)
  }

  /** In one piece, for it is what every message comes to. */
  view(id: number): Uint8Array<ArrayBuffer> {
    const cell = id >>> CELL_SHIFT
    let offset = Math.imul(id & INDEX_MASK, this.stride)
    let room = this.stride
    let length: number
    let place = id
    if (cell === 0) {
      length = this.#words[(id & INDEX_MASK) * HEADER_WORDS + HEADER_LENGTH]!
    } else {
      const skipped = (cell - 1) << CELL_UNIT_BITS
      const header = (offset + skipped) >>> WORD_BITS
      offset += skipped + HEADER_BYTES
      room = Math.min(room - skipped - HEADER_BYTES, this.#cellWords[header + HEADER_CAPACITY]!)
      length = this.#cellWords[header + HEADER_LENGTH]!
      place = offset >>> CELL_UNIT_BITS
    }
    if (length > room) length = room
    place &= VIEWS - 1
    const known = this.#views[place]
    if (known !== undefined && this.#offsets[place] === offset && this.#lengths[place] === length) return known
    this.#offsets[place] = offset
    this.#lengths[place] = length
    return (this.#views[place] = new Uint8Array(this.#buffer, offset, length))
  }

  setText(id: number, text: string): void {
    this.setLength(id, Buffer.from(this.#buffer, this.#offset(id), this.capacity(id)).write(text))
  }

  setBytes(id: number, bytes: Uint8Array): void {
    this.payload.set(bytes, this.#offset(id))
    this.setLength(id, bytes.length)
  }

  setBy(id: number, room: number, write: (target: Uint8Array<ArrayBuffer>) => number | undefined): boolean {
    const written = write(new Uint8Array(this.#buffer, this.#offset(id), room))
    if (written === undefined) return false
    this.setLength(id, written)
    return true
  }

  word(id: number, field: number): number {
    if (id >>> CELL_SHIFT === 0) return this.#words[(id & INDEX_MASK) * HEADER_WORDS + field]!
    return this.#cellWords[(this.#cell(id) >>> WORD_BITS) + field]!
  }

  setWord(id: number, field: number, value: number): void {
    if (id >>> CELL_SHIFT === 0) this.#words[(id & INDEX_MASK) * HEADER_WORDS + field] = value
    else this.#cellWords[(this.#cell(id) >>> WORD_BITS) + field] = value
  }

  long(id: number, field: number): bigint {
    if (id >>> CELL_SHIFT === 0) return this.#longs[(id & INDEX_MASK) * HEADER_LONGS + field]!
    return this.#cellLongs[(this.#cell(id) >>> LONG_BITS) + field]!
  }

  setLong(id: number, field: number, value: bigint): void {
    if (id >>> CELL_SHIFT === 0) this.#longs[(id & INDEX_MASK) * HEADER_LONGS + field] = value
    else this.#cellLongs[(this.#cell(id) >>> LONG_BITS) + field] = value
  }

  // Segments are smaller than 2 GiB: 32-bit arithmetic does, and is what it compiles to.

  /** Where message `id` begins in the payload. */
  #offset(id: number): number {
    return id >>> CELL_SHIFT === 0 ? this.#whole(id) : this.#cell(id) + HEADER_BYTES
  }

  /** Where the buffer that message `id` is in begins in the payload. */
  #whole(id: number): number {
    return Math.imul(id & INDEX_MASK, this.stride)
  }

  /** Where the header of the cell of message `id` begins in the payload. */
  #cell(id: number): number {
    return (this.#whole(id) + (((id >>> CELL_SHIFT) - 1) << CELL_UNIT_BITS)) | 0
  }
}

/** The segments this participant has mapped, each once. */
export class Segments implements AllMessages {
  readonly #map: (index: number) => BindingSegment
  readonly #segments: Segment[] = []
  /** What {@link remaps} was when they were mapped. */
  #remaps = remaps()

  constructor(map: (index: number) => BindingSegment) {
    this.#map = map
  }

  /**
   * The segment of buffer `id`, which is held here; mapped anew if user code detached the one we had, or if another segment has come in
   * its place.
   */
  of(id: number): Segment {
    if (remaps() !== this.#remaps) this.#forget()
    const index = (id >>> INDEX_BITS) & SEGMENT_MASK
    const segment = this.#segments[index]
    return segment !== undefined && segment.payload.length !== 0 ? segment : this.#attach(index)
  }

  /** The manager has been closed: views keep their addresses, nothing here does. */
  close(): void {
    this.#segments.length = 0
  }

  #forget(): void {
    this.#remaps = remaps()
    this.#segments.length = 0
  }

  #attach(index: number): Segment {
    const segment = new Segment(this.#map(index))
    this.#segments[index] = segment
    return segment
  }
}
