import { Buffer } from 'node:buffer'
import { createRequire } from 'node:module'
import type * as Msgpackr from 'msgpackr'
import { MAX_BUFFER_BYTES } from '../native/generated/limits.js'
import { encodeAsking } from './no-value.js'
import type { EncodedWriter, NamedCodec } from './types.js'

/** From here on a value is packed straight into its buffer; msgpackr leaves no smaller one to its caller. */
const DIRECT_MIN_BYTES = 4096
/** What msgpackr wants to have left at the end. */
const SPARE_BYTES = 2112
const SCRATCH_BYTES = 8192

// By this name: tools that trace what a program needs know it.
const require = createRequire(import.meta.url)

interface Engine {
  packer: Msgpackr.Packr
  /** Typed arrays are views of its input. */
  unpacker: Msgpackr.Unpackr
  /** The same, but bytes in a value are copies: of {@link Engine.scratch}. */
  copying: Msgpackr.Unpackr
  /** What a small value is unpacked from. Memory of its own, and a view on it, would cost as much as the rest. */
  scratch: Buffer
}

let engine: Engine | undefined
/** Packings under way: a `toJSON` may put something else. */
let depth = 0

/** Loads the library when the first value is packed or unpacked: who does not use it does not pay for it. */
function load(): Engine {
  if (engine !== undefined) return engine
  const { Packr, Unpackr } = require('#msgpackr') as typeof Msgpackr
  // Records keep objects apart from maps.
  const options = { structuredClone: true, moreTypes: true, useRecords: true }
  engine = {
    packer: new Packr(options),
    unpacker: new Unpackr(options),
    copying: new Unpackr({ ...options, copyBuffers: true }),
    scratch: Buffer.allocUnsafeSlow(SCRATCH_BYTES),
  }
  return engine
}

/** MessagePack by msgpackr. One for each queue: it expects the next value to be about as large as the last. */
export function msgpackCodec(): NamedCodec<unknown> {
  let expected = 0
  return {
    name: 'msgpack',
    encode(value) {
      if (expected < DIRECT_MIN_BYTES || expected > MAX_BUFFER_BYTES - SPARE_BYTES || depth > 0) {
        const packed = pack(value)
        expected = packed.length
        return packed
      }
      return new DirectWriter(value, expected, (bytes) => (expected = bytes))
    },
    decode: unpack,
  }
}

/** The value of `bytes`, which may lie in shared memory: read once, by the copy. Unpacking runs no code of anybody's. */
function unpack(bytes: Uint8Array): unknown {
  const { unpacker, copying, scratch } = load()
  const { length } = bytes
  if (length > SCRATCH_BYTES) return unpacker.unpack(Buffer.from(bytes.slice().buffer))
  scratch.set(bytes)
  return copying.unpack(scratch, length)
}

const packAny = (value: unknown): Buffer => load().packer.pack(value)

function pack(value: unknown): Buffer {
  depth++
  try {
    return encodeAsking('msgpack', value, packAny)
  } finally {
    depth--
  }
}

/** Packs into the buffer that is sent, if that is as large as expected; if not, it is stored anew from a copy. */
class DirectWriter implements EncodedWriter {
  byteLength: number
  readonly #value: unknown
  readonly #onSize: (bytes: number) => void
  #packed: Uint8Array | undefined

  constructor(value: unknown, expected: number, onSize: (bytes: number) => void) {
    this.#value = value
    this.#onSize = onSize
    this.byteLength = expected + SPARE_BYTES
  }

  write(target: Uint8Array): number | null {
    if (this.#packed !== undefined) {
      target.set(this.#packed)
      return this.#packed.length
    }
    const packed = packInto(this.#value, target)
    this.#onSize(packed.length)
    const inPlace = packed.buffer === target.buffer
    // A small value must not hold a large buffer.
    if (inPlace && packed.length >= target.length / 4) return packed.length
    this.#packed = inPlace ? packed.slice() : packed
    this.byteLength = packed.length
    return null
  }
}

/** Packs into `target` if that is large enough, else into memory of its own. */
function packInto(value: unknown, target: Uint8Array): Uint8Array {
  const { packer } = load()
  // A value packed meanwhile, by somebody's `toJSON`, would overwrite what is being packed here.
  if (depth > 0) return pack(value)
  packer.useBuffer(Buffer.from(target.buffer, target.byteOffset, target.byteLength))
  try {
    return pack(value)
  } finally {
    // All packers of a process share one buffer; the next one must not write into shared memory.
    packer.useBuffer(Buffer.allocUnsafeSlow(SCRATCH_BYTES))
  }
}
