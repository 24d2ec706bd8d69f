import type { OptionNames } from '../../check.js'
import { checkOptions, checkText } from '../../check.js'
import type { Codec, CodecOption, NamedCodec } from '../../codec/codec.js'
import { bytesCodec, codecOf } from '../../codec/codec.js'
import { decodingOf } from '../../codec/decoding.js'
import { invalidArgument } from '../../errors.js'
import type { BufferPtr } from '../../memory/buffer-ptr.js'
import type { Batch } from '../../queue/batch.js'
import type { StandardSchema } from '../../codec/standard-schema.js'

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
  readonly schema: StandardSchema<unknown> | undefined
  /** @internal How values become messages; undefined: they stay what they are, see {@link objects}. */
  readonly encoding: Encoding<V> | undefined
}

/** @internal How values become messages, and what a block sees of them. */
export interface Encoding<V> {
  readonly codec: NamedCodec<unknown>
  /** What a block sees of message `index`. */
  read(batch: Batch, index: number): V
}

/** Options of {@link type} and {@link objects}. */
export interface TypeOptions<T> {
  /** Its name. Types of different names are different types, in all processes. Default: that of its codec, which all types without a name are. */
  name?: string
  /** A validator, such as one of zod, valibot or arktype: what a block sends is what this makes of it. */
  schema?: StandardSchema<T>
}

const TYPE_OPTIONS: OptionNames<TypeOptions<never>> = { name: true, schema: true }

/**
 * A type of ports, by how values become bytes.
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`
 */
export function type<T>(codec: CodecOption<T>, options: TypeOptions<T> = {}): PortType<T> {
  const named = codecOf(codec as Codec<T>)
  const info = infoOf(named.name, options)
  const decoding = decodingOf(`a value of type "${info.name}"`, named)
  return { ...info, encoding: { codec: named, read: (batch, index) => decoding.decode(batch.bytes(index)) } }
}

/**
 * A type of ports whose values are handed over by reference: nothing is copied or encoded, so they can be anything. They cannot leave their
 * event loop: such ports are linked to each other, within one process, and to no queue. Every input that an output is linked to gets the
 * same objects, so whoever changes one changes it for all.
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`
 */
export function objects<T>(options: TypeOptions<T> = {}): PortType<T> {
  return { ...infoOf('objects', options), encoding: undefined }
}

/** Bytes; what a block sees of a message is a copy. */
export const bytes: PortType<Uint8Array> = type<Uint8Array>(bytesCodec)

/** Bytes; what a block sees is the message itself, without copy. It is released when the block is done with it, unless that sends it on. */
export const buffers: PortType<Uint8Array, BufferPtr> = {
  ...infoOf('buffers', {}),
  encoding: { codec: bytesCodec, read: (batch, index) => batch.at(index)! },
}

/** Why ports of the two types cannot be linked; undefined: they can. */
export function mismatch(sent: TypeInfo, taken: TypeInfo): string | undefined {
  const named = sent.id !== taken.id && sent.id !== 0 && taken.id !== 0
  const same = !named && sent.encoding?.codec.name === taken.encoding?.codec.name
  return same ? undefined : `sends ${describe(sent)}`
}

/** A type as messages name it. */
export function describe({ name, encoding }: TypeInfo): string {
  return encoding === undefined ? `"${name}" by reference` : `"${name}" (codec "${encoding.codec.name}")`
}

function infoOf<T>(defaultName: string, options: TypeOptions<T>): Omit<TypeInfo, 'encoding'> {
  const { name, schema } = checkOptions('a type', options, TYPE_OPTIONS)
  if (name !== undefined) checkText('the name of a type', name)
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function') {
    throw invalidArgument('schema', 'a validator by the Standard Schema', schema)
  }
  return { name: name ?? defaultName, id: name === undefined ? 0 : hashOf(name), schema }
}

/** @internal A number for a text: FNV-1a over its UTF-16 code units, and never 0. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash === 0 ? 1 : hash >>> 0
}
