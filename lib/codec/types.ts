/** The codecs that come with the package. */
export type CodecName = 'bytes' | ValueCodecName

/** Of these, the ones for values of any kind. */
export type ValueCodecName = 'json' | 'v8' | 'msgpack'

/** Writes itself straight into the buffer that is sent, for codecs that can do so. */
export interface EncodedWriter {
  /** Upper bound of what `write` will write, in bytes. */
  readonly byteLength: number
  /**
   * Writes into `target`, which has at least `byteLength` bytes. Returns how many were written; nothing means all of them,
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
  /** The encoded form of `value`. Bytes may be those of the last call, written anew; a writer must be an object of its own. */
  encode(value: T): Encoded
  /**
   * The value that `bytes` stand for. `bytes` lie in shared memory and are gone afterwards: keep copies only, and copy before native
   * code reads them, which may measure first and decode then, while a peer still writes.
   */
  decode(bytes: Uint8Array): T
}

/**
 * What JSON makes of a `T`: the same type if JSON brings it back as it was, else another one. Dates come back as texts, maps and sets empty,
 * bytes as objects, functions not at all; a bigint is refused. What is not known (`unknown`, `any`) is left to the caller.
 */
export type JsonOf<T> = unknown extends T
  ? T
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends bigint | symbol | ((...args: never) => unknown) | JsonLoses
      ? never
      : { [Key in keyof T]: JsonOf<T[Key]> }

/** What JSON brings back as something else, or as nothing. */
export type JsonLoses =
  Date | RegExp | Error | ReadonlyMap<never, unknown> | ReadonlySet<never> | ArrayBufferView | ArrayBufferLike

/** The codecs that come with the package and bring a `T` back as it was. */
export type ValueCodecOf<T> = Exclude<ValueCodecName, 'json'> | ([T] extends [JsonOf<T>] ? 'json' : never)

/** A codec that can carry values of type `T`: the name of one that comes with the package, or one of your own. */
export type CodecOption<T> = ValueCodecOf<T> | Codec<T> | (Uint8Array extends T ? 'bytes' : never)

/** Options that name a codec. */
export interface NeedsCodec<T> {
  /** How values turn into bytes, and bytes into values. */
  codec: CodecOption<T>
}

/** Options `O` of what carries values of type `T`: those that are no bytes need a codec; `never`, no values at all, needs none. */
export type WithCodec<O, T> = Uint8Array extends T ? O : [T] extends [never] ? O : O & NeedsCodec<T>

/** A codec that knows its name. */
export type NamedCodec<T> = Codec<T> & {
  readonly name: string
  /** Whether bytes that it has encoded may be overwritten when it encodes the next value, as those of a codec of the caller's may. */
  readonly reuses?: boolean
}
