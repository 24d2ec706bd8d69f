import { Buffer } from 'node:buffer'
import v8 from 'node:v8'
import { msgpackCodec } from './msgpack.js'
import { invalidArgument, MillraceError, show } from '../errors.js'
import { MAX_CODEC_BYTES } from '../native/generated/limits.js'

/** The codecs that come with the package. */
export type CodecName = 'bytes' | ValueCodecName

/** Of these, the ones for values of any kind. */
export type ValueCodecName = 'json' | 'v8' | 'msgpack'

/** Writes itself straight into the buffer that is sent, for codecs that can do so. */
export interface EncodedWriter {
  /** Upper bound of what `write` will write, in bytes. */
  readonly byteLength: number
  /**
   * Writes into `target`, which has at least `byteLength` bytes. Answers how many were written; nothing means all of them,
   * null that `byteLength` was a wrong guess and has been set right: it is then called again with a buffer of that size.
   */
  write(target: Uint8Array): number | void | null
}

/** A value in its encoded form. Bytes are copied once, text is written as UTF-8, a writer writes itself. */
export type Encoded = Uint8Array | string | EncodedWriter

/** How values become bytes and bytes values. */
export interface Codec<T> {
  /** Recorded in the queue, at most 31 bytes; attaching with another one is an error. Default: `custom`. */
  readonly name?: string
  /** The encoded form of `value`. */
  encode(value: T): Encoded
  /** The value that `bytes` stand for. `bytes` lie in shared memory and are gone afterwards: keep copies only. */
  decode(bytes: Uint8Array): T
}

/** A codec that can carry values of type `T`: the name of one that comes with the package, or one of your own. */
export type CodecOption<T> = ValueCodecName | Codec<T> | (Uint8Array extends T ? 'bytes' : never)

/** A codec that knows its name. */
export type NamedCodec<T> = Codec<T> & { readonly name: string }

/** Values are bytes already. */
export const bytesCodec: NamedCodec<Uint8Array> = {
  name: 'bytes',
  encode(value) {
    if (value instanceof Uint8Array) return value
    throw invalidArgument("a value for codec 'bytes'", 'a Uint8Array', value)
  },
  decode: (bytes) => bytes.slice(),
}

const jsonCodec: NamedCodec<unknown> = {
  name: 'json',
  encode(value) {
    const text: string | undefined = JSON.stringify(value)
    if (text !== undefined) return text
    throw invalidArgument("a value for codec 'json'", 'something JSON can express', value)
  },
  decode: (bytes) => JSON.parse(textOf(bytes)) as unknown,
}

const v8Codec: NamedCodec<unknown> = {
  name: 'v8',
  encode: (value) => v8.serialize(value),
  // Deserialized typed arrays are views of their input, so the input must not be shared memory.
  decode: (bytes) => v8.deserialize(bytes.slice()) as unknown,
}

const CODECS: Record<CodecName, () => NamedCodec<unknown>> = {
  bytes: () => bytesCodec,
  json: () => jsonCodec,
  v8: () => v8Codec,
  msgpack: msgpackCodec,
}
const CODEC_NAMES = Object.keys(CODECS).map(show).join(', ')

function builtIn<T>(name: unknown): NamedCodec<T> | undefined {
  const known = typeof name === 'string' && Object.hasOwn(CODECS, name)
  return known ? (CODECS[name as CodecName]() as NamedCodec<T>) : undefined
}

/** The codec an option names or is. */
export function codecOf<T>(option: CodecName | Codec<T>): NamedCodec<T> {
  const known = builtIn<T>(option)
  if (known !== undefined) return known
  if (typeof option !== 'object' || typeof option?.encode !== 'function' || typeof option.decode !== 'function') {
    throw invalidArgument('codec', `one of ${CODEC_NAMES}, or an object with encode and decode`, option)
  }
  const name = option.name ?? 'custom'
  if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > MAX_CODEC_BYTES) {
    throw invalidArgument('codec name', `a text of 1 to ${MAX_CODEC_BYTES} bytes`, name)
  }
  return { name, encode: (value) => option.encode(value), decode: (bytes) => option.decode(bytes) }
}

/** The codec that `queue` was created with, for participants that attach without naming one. */
export function codecRecorded<T>(name: string, queue: string): NamedCodec<T> {
  const known = builtIn<T>(name === '' ? 'bytes' : name)
  if (known !== undefined) return known
  throw new MillraceError(
    'ERR_MILLRACE_OPTIONS_MISMATCH',
    `queue ${show(queue)} was created with codec ${show(name)}: pass that codec to portQueue to put or get values`,
  )
}

/** The encoded forms of `values`. A loop: half of what `map` costs. */
export function encodeAll<T>(codec: Codec<T>, values: readonly T[]): Encoded[] {
  const encoded = new Array<Encoded>(values.length)
  for (let i = 0; i < values.length; i++) encoded[i] = codec.encode(values[i]!)
  return encoded
}

/** UTF-8 text of `bytes`. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
