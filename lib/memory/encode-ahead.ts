import { Buffer } from 'node:buffer'
import type { Encoded, NamedCodec } from '../codec/codec.js'
import { encodeAll, valueCodecs } from '../codec/codec.js'
import { isBytes } from '../codec/views.js'
import { invalidArgument } from '../errors.js'
import type { Limits, WaitOptions } from '../session/limits.js'
import { limitsOf } from '../session/limits.js'
import { detachEncoded } from './store.js'

/** What puts encoded values: the sending side of a queue or topic. */
export interface ValueSink<R> {
  /** Waits for the queue or topic to exist, until `attempt` succeeds. */
  exists<C>(limits: Limits, attempt: () => C | undefined): Promise<C>
  /** Puts all of `list`, which is the sink's to change. */
  putMany(list: Encoded[], limits: Limits): Promise<R>
}

/** Puts `values` as they are now; `find` returns the codec once there is one. */
export async function putValues<T, R>(
  sink: ValueSink<R>,
  values: readonly T[],
  options: WaitOptions | undefined,
  find: () => NamedCodec<T> | undefined,
): Promise<R> {
  if (!Array.isArray(values)) throw invalidArgument('values', 'an array', values)
  const limits = limitsOf(options)
  const known = find()
  if (known !== undefined) return await sink.putMany(encodeAll(known, values), limits)
  // What is waited for is the queue or topic.
  const encode = encodeAhead(values)
  return await sink.putMany(encode(await sink.exists(limits, find)), limits)
}

/** What encoding comes to: the form, or the error to throw. */
type Form = { readonly encoded: Encoded } | { readonly error: unknown }

/**
 * Values as they are now, of a queue or topic that does not exist yet and whose codec so is not known: it will be one that comes with
 * the package. What is returned gives the values in the codec it has turned out to be.
 */
function encodeAhead<T>(values: readonly T[]): (codec: NamedCodec<T>) => Encoded[] {
  const kept = values.map(keep)
  return (codec) => kept.map((encode) => encode(codec as NamedCodec<unknown>))
}

/** Bytes are copied, for text of them would be many times as long; any other value is encoded in each codec that can carry it. */
function keep(value: unknown): (codec: NamedCodec<unknown>) => Encoded {
  if (isBytes(value)) {
    const copy = Buffer.isBuffer(value) ? Buffer.from(value) : new Uint8Array(value)
    return (codec) => codec.encode(copy)
  }
  const forms = new Map<string, Form>(valueCodecs().map((codec) => [codec.name, formOf(codec, value)]))
  return (codec) => {
    const form = forms.get(codec.name)
    // Only bytes are left, which it is not.
    if (form === undefined) return codec.encode(value)
    if ('error' in form) throw form.error
    return form.encoded
  }
}

function formOf(codec: NamedCodec<unknown>, value: unknown): Form {
  try {
    return { encoded: detachEncoded(codec.encode(value)) }
  } catch (error) {
    return { error }
  }
}
