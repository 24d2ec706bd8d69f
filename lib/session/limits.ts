import type { MillraceError } from '../errors.js'
import type { Spin, WaitOptions } from '../options.js'
import { checkObject, checkSignal, checkSpin, checkTimeout } from '../options.js'
import type { Cancel } from './cancel.js'

/**
 * What ends a wait. Made once a call, so that all steps of the call share one deadline.
 */
export interface Limits {
  /** Time that was asked for, in ms; Infinity: none. */
  readonly timeout: number
  /** When that is over, on the clock of `performance.now()`. */
  readonly deadline: number
  /** The caller's signal. */
  readonly signal: AbortSignal | undefined
  /** The end of the object that waits. */
  readonly cancel: Cancel | undefined
  /** How long to poll before sleeping; undefined: as the session does. */
  readonly spin: Spin | undefined
  /** Whether the wait keeps the process alive. */
  readonly hold: boolean
  /** The error of a wait whose time is over; left out: `ERR_MILLRACE_TIMEOUT`. */
  readonly expired?: () => MillraceError
}

/** A wait without end. */
export const UNLIMITED: Limits = {
  timeout: Infinity,
  deadline: Infinity,
  signal: undefined,
  cancel: undefined,
  spin: undefined,
  hold: true,
}

/**
 * The limits that a caller's options set from now on.
 * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT`; the reason of a signal that has aborted already
 */
export function limitsOf(options: WaitOptions | undefined, cancel?: Cancel): Limits {
  if (options === undefined) return cancel === undefined ? UNLIMITED : { ...UNLIMITED, cancel }
  const { timeout, signal, spin } = checkObject('options', options)
  const limit = checkTimeout('timeout', timeout)
  if (spin !== undefined) checkSpin(spin)
  checkSignal(signal)?.throwIfAborted()
  const deadline = limit === Infinity ? Infinity : performance.now() + limit
  return { timeout: limit, deadline, signal, cancel, spin, hold: true }
}

/** Whether nobody waits any more under these limits. */
export function hasEnded({ signal, cancel }: Limits): boolean {
  return signal?.aborted === true || cancel?.cancelled === true
}
