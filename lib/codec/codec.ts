import { Buffer } from 'node:buffer'
import { msgpackCodec } from './msgpack.js'
import { invalidArgument, MillraceError, show } from '../errors.js'
import { MAX_CODEC_BYTES } from '../native/generated/limits.js'
import { encodeAsking, encodeCloning, isMarkedNoValue, noValue } from './no-value.js'
import type { Codec, CodecName, NamedCodec, Encoded } from './types.js'
import { deserialize, serialize } from './structured.js'
import { isBytes } from './views.js'

export type { Codec, CodecName, CodecOption, Encoded, EncodedWriter, NamedCodec, ValueCodecName } from './types.js'

/** Values are bytes already. */
export const bytesCodec: NamedCodec<Uint8Array> = {
  name: 'bytes',
  encode(value) {
    if (value instanceof Uint8Array || isBytes(value)) return value
    if (isMarkedNoValue(value)) throw noValue('bytes', value)
    const rule = "a Uint8Array (for other values name a codec, such as { codec: 'json' })"
    throw invalidArgument('a value for codec "bytes"', rule, value)
  },
  decode: (bytes) => bytes.slice(),
}

const stringify = JSON.stringify as (value: unknown) => string | undefined

const jsonCodec: NamedCodec<unknown> = {
  name: 'json',
  encode(value) {
    const text = encodeAsking('json', value, stringify)
    if (text !== undefined) return text
    throw invalidArgument('a value for codec "json"', 'something JSON can express', value)
  },
  decode: (bytes) => JSON.parse(textOf(bytes)) as unknown,
}

const v8Codec: NamedCodec<unknown> = {
  name: 'v8',
  encode: (value) => encodeCloning(value, serialize),
  // Deserialized typed arrays are views of their input, so the input must not be shared memory.
  decode: (bytes) => deserialize(bytes.slice()),
}

const CODECS: Record<CodecName, () => NamedCodec<unknown>> = {
  bytes: () => bytesCodec,
  json: () => jsonCodec,
  v8: () => v8Codec,
  msgpack: () => msgpackCodec(),
}
const CODEC_NAMES = Object.keys(CODECS).map(show).join(', ')

function builtIn<T>(name: unknown): NamedCodec<T> | undefined {
  const known = typeof name === 'string' && Object.hasOwn(CODECS, name)
  return known ? (CODECS[name as CodecName]() as NamedCodec<T>) : undefined
}

/** Every codec that comes with the package, for values of any kind. */
export function valueCodecs(): NamedCodec<unknown>[] {
  return Object.values(CODECS)
    .map((codec) => codec())
    .filter((codec) => codec.name !== bytesCodec.name)
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
  return { name, reuses: true, encode: (value) => option.encode(value), decode: (bytes) => option.decode(bytes) }
}

/** The codec of that name, which `subject` was created with, for participants that attach without naming one. */
export function codecRecorded<T>(name: string, subject: string): NamedCodec<T> {
  const known = builtIn<T>(name === '' ? 'bytes' : name)
  if (known !== undefined) return known
  throw new MillraceError(
    'ERR_MILLRACE_OPTIONS_MISMATCH',
    `${subject} was created with codec ${show(name)}: pass that codec where you open it, to put or get values`,
  )
}

/** The encoded forms of `values`. A loop: half of what `map` costs. */
export function encodeAll<T>(codec: NamedCodec<T>, values: readonly T[]): Encoded[] {
  // Encoding may run code of the caller's, which may change the list.
  const { length } = values
  const all = new Array<Encoded>(length)
  for (let i = 0; i < length; i++) {
    const encoded = codec.encode(values[i]!)
    all[i] = codec.reuses === true && isBytes(encoded) ? new Uint8Array(encoded) : encoded
  }
  return all
}

/** Texts up to so many bytes are copied into memory that is there already. */
const SCRATCH_BYTES = 65_536
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

/**
 * UTF-8 text of `bytes`, which may lie in shared memory: read once, by the copy. The decoders of the runtime measure first and decode
 * then, and write beyond their result if another process changes the bytes in between.
 */
export function textOf(bytes: Uint8Array): string {
  const { length } = bytes
  const copy = length <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafeSlow(length)
  copy.set(bytes)
  return copy.toString('utf8', 0, length)
}
