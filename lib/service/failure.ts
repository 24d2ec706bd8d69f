import v8 from 'node:v8'
import type { ErrorCode } from '../errors.js'
import { knownCode, MillraceError, show } from '../errors.js'

/** How deep causes are followed. */
const CAUSES_MAX = 8

/** An error as it travels. */
interface Sent {
  name: string
  message: string
  code?: string | number
  stack?: string
  /** The cause, itself an error. */
  because?: Sent
  /** The cause, or what was thrown, if it is not an error. */
  value?: unknown
}

/** Classes that `instanceof` should find again on the other side. */
const CLASSES = new Map<string, new (message: string) => Error>(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]),
)

/** What a handler threw, as bytes. Never throws: parts that cannot be cloned are described instead. */
export function encodeFailure(thrown: unknown): Uint8Array {
  return v8.serialize(
    thrown instanceof Error ? recordOf(thrown, 0) : { name: '', message: '', value: cloneable(thrown) },
  )
}

/**
 * The error that `bytes` describe. It has name, message, code and cause of the original, is of the same class if that is built
 * in or a MillraceError, and says in its stack and in `remote` where it comes from.
 * @param origin who reported it
 */
export function decodeFailure(bytes: Uint8Array, origin: string): Error {
  let record: unknown
  try {
    record = v8.deserialize(bytes.slice())
  } catch (cause) {
    return new MillraceError('ERR_MILLRACE_CORRUPT', `${origin} answered with an error that cannot be read`, { cause })
  }
  return errorOf(record as Sent, origin)
}

function recordOf(error: Error, depth: number): Sent {
  const { name, message, stack, cause, code } = error as Error & { code?: unknown }
  const record: Sent = { name, message }
  if (typeof stack === 'string') record.stack = stack
  if (typeof code === 'string' || typeof code === 'number') record.code = code
  if (cause instanceof Error && depth < CAUSES_MAX) record.because = recordOf(cause, depth + 1)
  else if (cause !== undefined) record.value = cloneable(cause)
  return record
}

function cloneable(value: unknown): unknown {
  try {
    v8.serialize(value)
    return value
  } catch {
    return show(value)
  }
}

function errorOf({ name, message, code, stack, because, value }: Sent, origin: string): Error {
  const cause = because === undefined ? value : errorOf(because, origin)
  let error: Error
  if (name === '') {
    error = new MillraceError('ERR_MILLRACE_REMOTE', `${origin} threw ${show(value)}, which is not an error`)
  } else if (name === 'MillraceError' && knownCode(code) !== undefined) {
    error = new MillraceError(code as ErrorCode, message)
  } else {
    error = new (CLASSES.get(name) ?? Error)(message)
    define(error, 'name', name)
    if (code !== undefined) define(error, 'code', code, true)
  }
  if (cause !== undefined) define(error, 'cause', cause)
  define(error, 'remote', origin)
  if (stack !== undefined) define(error, 'stack', `${stack}\n    at [remote: ${origin}]`)
  return error
}

function define(error: Error, key: string, value: unknown, enumerable = false): void {
  Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true })
}
