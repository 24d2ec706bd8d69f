import { ERROR_CODES } from './native/generated/codes.js'

/** Every code a {@link MillraceError} can bear. Codes are stable; messages are not. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** Shared by all copies of this package in a process (ESM and CommonJS), so that `instanceof` works across them. */
const BRAND = Symbol.for('millrace.error')

/** The one error of this package: a stable `code`, and a message that names the object and the offending value. */
export class MillraceError extends Error {
  /** Which error this is, e.g. `ERR_MILLRACE_TIMEOUT`. */
  readonly code: ErrorCode

  /** @internal */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  static {
    Object.defineProperty(this.prototype, 'name', { value: 'MillraceError', configurable: true, writable: true })
    Object.defineProperty(this.prototype, BRAND, { value: true })
  }

  /** True for a MillraceError made by any copy of this package. */
  static override [Symbol.hasInstance](value: unknown): value is MillraceError {
    return typeof value === 'object' && value !== null && BRAND in value
  }
}

/** Runs a slow native call and turns what it throws into a {@link MillraceError}. */
export function callNative<T>(operation: () => T): T {
  try {
    return operation()
  } catch (error) {
    throw fromNative(error)
  }
}

/** What Node-API calls a panic that nothing else has caught. */
const NATIVE_DEFECT = 'GenericFailure'

/** An error with a code of ours becomes a MillraceError; any other passes through unchanged: it is a defect, not a result. */
function fromNative(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const code = error.code === NATIVE_DEFECT ? 'ERR_MILLRACE_INTERNAL' : knownCode(error.code)
  return code === undefined ? error : new MillraceError(code, error.message)
}

/** `code` if it is one of ours. */
export function knownCode(code: unknown): ErrorCode | undefined {
  return ERROR_CODES.find((known) => known === code)
}

/** Whether `error` is one of ours with one of `codes`. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is MillraceError {
  return error instanceof MillraceError && codes.includes(error.code)
}

/** What {@link MillraceError} a caller's bad argument is: `what` must be `rule`, but is `value`. */
export function invalidArgument(what: string, rule: string, value: unknown): MillraceError {
  return misuse(`${what} must be ${rule}, not ${show(value)}`)
}

/** The same for what is wrong in some other way. */
export function misuse(message: string): MillraceError {
  return new MillraceError('ERR_MILLRACE_INVALID_ARGUMENT', message)
}

/** A value as it may stand in a message: short, on one line, and never failing, whatever the value does when it is looked at. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  try {
    if (Array.isArray(value)) return 'an array'
    const name: unknown = value.constructor?.name
    return typeof name === 'string' && name !== ''
      ? `an object of class ${name.slice(0, 80)}`
      : 'an object without class'
  } catch {
    return 'an object that cannot be looked at'
  }
}
