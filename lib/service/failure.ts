import { deserialize, serialize } from '../codec/structured.js'
import type { ErrorCode } from '../errors.js'
import { knownCode, MillraceError, show } from '../errors.js'

/** How deep causes are followed; those of a cycle are, too. */
const CAUSES_MAX = 8

/** An error as it travels. */
interface Sent {
  name: string
  message: string
  stack?: string
  /** Its own enumerable properties that can be cloned, such as `code` or `status`. */
  own?: Record<string, unknown>
  /** Of an AggregateError: what it is made of. */
  errors?: Sent[]
  /** The cause, itself an error. */
  because?: Sent
  /** The cause, or what was thrown, if it is not an error. */
  value?: unknown
}

/** Classes that `instanceof` should find again on the other side. */
const CLASSES = new Map<string, new (message: string) => Error>(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]),
)

/** Properties that have a place of their own in {@link Sent}. */
const APART = new Set(['name', 'message', 'stack', 'cause', 'remote'])

/** What a handler threw, as bytes. Never throws: what cannot be read or cloned is described instead. */
export function encodeFailure(thrown: unknown): Uint8Array {
  return serialize(sentOf(thrown, 0))
}

/**
 * The error that `bytes` describe. It has name, message, cause and own properties of the original, is of the same class if that is built
 * in or a MillraceError, and says in its stack and in `remote` where it comes from.
 * @param origin who reported it
 */
export function decodeFailure(bytes: Uint8Array, origin: string): Error {
  try {
    return errorOf(deserialize(bytes.slice()) as Sent, origin)
  } catch (cause) {
    const message = `${origin} answered with an error that cannot be read`
    // Of another runtime, perhaps: the request has failed there, and nothing is broken.
    if (cause instanceof MillraceError)
      return new MillraceError('ERR_MILLRACE_REMOTE', `${message}: ${cause.message}`, { cause })
    return new MillraceError('ERR_MILLRACE_CORRUPT', message, { cause })
  }
}

/** Whether `value` is an error, of this realm or of another. A revoked proxy is none, and says so by throwing. */
function isError(value: unknown): value is Error {
  try {
    return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]'
  } catch {
    return false
  }
}

function sentOf(thrown: unknown, depth: number): Sent {
  return isError(thrown) ? recordOf(thrown, depth) : { name: '', message: '', value: cloneable(thrown) }
}

function recordOf(error: Error, depth: number): Sent {
  const record: Sent = { name: textOf(error, 'name') ?? 'Error', message: textOf(error, 'message') ?? '' }
  const stack = textOf(error, 'stack')
  if (stack !== undefined) record.stack = stack
  const cause = read(error, 'cause')
  if (isError(cause) && depth < CAUSES_MAX) record.because = recordOf(cause, depth + 1)
  else if (cause !== undefined) record.value = cloneable(cause)
  const errors = error instanceof AggregateError ? read(error, 'errors') : undefined
  if (Array.isArray(errors) && depth < CAUSES_MAX) record.errors = errors.map((one) => sentOf(one, depth + 1))
  const own = ownOf(error)
  if (own !== undefined) record.own = own
  return record
}

/** Own enumerable properties, as far as they can be read and cloned. */
function ownOf(error: Error): Record<string, unknown> | undefined {
  const own: Record<string, unknown> = {}
  for (const key of keysOf(error)) {
    const copy = APART.has(key) ? undefined : copyOf(read(error, key))
    if (copy !== undefined) define(own, key, copy.value, true)
  }
  return Object.keys(own).length === 0 ? undefined : own
}

function keysOf(error: object): string[] {
  try {
    return Object.keys(error)
  } catch {
    return []
  }
}

/** A property; undefined if it cannot be read. */
function read(object: object, key: string): unknown {
  try {
    return (object as Record<string, unknown>)[key]
  } catch {
    return undefined
  }
}

/** A property as text: what is no text is described. Undefined: there is none, or it cannot be read. */
function textOf(error: Error, key: string): string | undefined {
  const value = read(error, key)
  if (value === undefined || typeof value === 'string') return value
  return show(value)
}

/** A copy without getters; a description of what cannot be cloned. */
function cloneable(value: unknown): unknown {
  const copy = copyOf(value)
  return copy === undefined ? show(value) : copy.value
}

/** Undefined: it cannot be cloned. */
function copyOf(value: unknown): { value: unknown } | undefined {
  try {
    return { value: deserialize(serialize(value)) }
  } catch {
    return undefined
  }
}

function errorOf({ name, message, own = {}, stack, errors, because, value }: Sent, origin: string): Error {
  const cause = because === undefined ? value : errorOf(because, origin)
  let error: Error
  if (name === '') {
    error = new MillraceError('ERR_MILLRACE_REMOTE', `${origin} threw ${show(value)}, which is not an error`)
  } else if (name === 'MillraceError' && knownCode(own['code']) !== undefined) {
    error = new MillraceError(own['code'] as ErrorCode, message)
  } else if (errors !== undefined) {
    error = new AggregateError(
      errors.map((one) => (one.name === '' ? one.value : errorOf(one, origin))),
      message,
    )
    define(error, 'name', name)
  } else {
    error = new (CLASSES.get(name) ?? Error)(message)
    define(error, 'name', name)
  }
  for (const [key, property] of Object.entries(own)) define(error, key, property, true)
  if (cause !== undefined) define(error, 'cause', cause)
  define(error, 'remote', origin)
  if (stack !== undefined) define(error, 'stack', `${stack}\n    at [remote: ${origin}]`)
  return error
}

function define(error: object, key: string, value: unknown, enumerable = false): void {
  Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true })
}
