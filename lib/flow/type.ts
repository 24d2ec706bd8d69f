import { checkObject, checkText } from '../check.js'
import type { Codec, CodecOption, NamedCodec } from '../codec/codec.js'
import { bytesCodec, codecOf } from '../codec/codec.js'
import { invalidArgument } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { Batch } from '../queue/batch.js'
import type { StandardSchema } from './standard-schema.js'

declare const MESSAGE: unique symbol

/**
 * What the messages of a port are.
 * @typeParam T what they carry: the compiler links ports of the same type only
 * @typeParam V what a block sees of one: the same, or its buffer
 */
export interface PortType<T, V = T> extends TypeInfo<V> {
  /** For the compiler. */
  readonly [MESSAGE]?: (message: T) => T
}

/** What is known of a type when a flow runs. */
export interface TypeInfo<V = unknown> {
  /** What errors call it. */
  readonly name: string
  /** Recorded in queues, and compared when a port is linked or connected; 0 is none. */
  readonly id: number
  /** @internal */
  readonly codec: NamedCodec<unknown>
  /** @internal */
  readonly schema: StandardSchema<unknown> | undefined
  /** @internal What a block sees of message `index`. */
  read(batch: Batch, index: number): V
  /** @internal The same of a message that was taken alone. */
  readOne(message: BufferPtr): V
}

/** Options of {@link type}. */
export interface TypeOptions<T> {
  /** Its name. Types of different names are different types, in all processes. Default: that of its codec, which all types without a name are. */
  name?: string
  /** A validator, such as one of zod, valibot or arktype: what a block sends is what this makes of it. */
  schema?: StandardSchema<T>
}

/**
 * A type of ports, by how values become bytes.
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`
 */
export function type<T>(codec: CodecOption<T>, options: TypeOptions<T> = {}): PortType<T> {
  const named = codecOf(codec as Codec<T>)
  const { name, schema } = checkObject('options of a type', options)
  if (name !== undefined) checkText('the name of a type', name)
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function') {
    throw invalidArgument('schema', 'a validator by the Standard Schema', schema)
  }
  return {
    name: name ?? named.name,
    id: name === undefined ? 0 : hashOf(name),
    codec: named,
    schema,
    read: (batch, index) => named.decode(batch.bytes(index)),
    readOne: (message) => named.decode(message.bytes),
  }
}

/** Bytes; what a block sees of a message is a copy. */
export const bytes: PortType<Uint8Array> = type<Uint8Array>(bytesCodec)

/** Bytes; what a block sees is the message itself, without copy. It is released when the block is done with it, unless that sends it on. */
export const buffers: PortType<Uint8Array, BufferPtr> = {
  name: 'buffers',
  id: 0,
  codec: bytesCodec,
  schema: undefined,
  read: (batch, index) => batch.at(index)!,
  readOne: (message) => message,
}

/** Why ports of the two types cannot be linked; undefined: they can. */
export function mismatch(sent: TypeInfo, taken: TypeInfo): string | undefined {
  const differ = sent.codec.name !== taken.codec.name || (sent.id !== taken.id && sent.id !== 0 && taken.id !== 0)
  return differ ? `sends '${sent.name}' (codec '${sent.codec.name}')` : undefined
}

/** @internal A number for a text: FNV-1a over its UTF-16 code units, and never 0. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash === 0 ? 1 : hash >>> 0
}
