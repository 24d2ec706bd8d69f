import type { OptionNames } from '../check.js'
import { checkOptions, checkSignal, checkTimeout } from '../check.js'
import { invalidArgument, type MillraceError } from '../errors.js'
import type { Cancel } from './cancel.js'

/**
 * How long a wait polls before it sleeps, in µs, at most 1000: what comes meanwhile is there in about a µs instead of some ten.
 * Polling keeps this thread and a core busy, so it is for machines with cores to spare. `auto` polls for up to 200 µs, and ever more
 * seldom while that is in vain.
 */
export type Spin = number | 'auto'

/** Options of everything that waits. */
export interface WaitOptions {
  /** How long to wait, in ms; then `ERR_MILLRACE_TIMEOUT`. Default: for ever. */
  timeout?: number
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal
  /** How long to poll before going to sleep; see {@link Spin}. Default: that of {@link OpenOptions.spin}. */
  spin?: Spin
}

/** @internal */
export const WAIT_OPTIONS: OptionNames<WaitOptions> = { timeout: true, signal: true, spin: true }

/** Options of everything that blocks its thread. */
export interface BlockingOptions {
  /** How long to wait, in ms; then `ERR_MILLRACE_TIMEOUT`. Default: for ever. */
  timeout?: number
  /** Allow it on the main thread, where it stops the event loop; else `ERR_MILLRACE_WOULD_BLOCK`. Default: false. */
  allowBlocking?: boolean
  /** As {@link WaitOptions.spin}. */
  spin?: Spin
}

/** @internal */
export const BLOCKING_OPTIONS: OptionNames<BlockingOptions> = { timeout: true, allowBlocking: true, spin: true }

/** Longer than it takes to wake a sleeper, and short enough for an event loop to bear. */
const MAX_SPIN_US = 1000

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
  /** Whether its caller lets the event loop turn itself: what is there is handed over at once, lest it be in nobody's hands for a turn. */
  readonly yields?: boolean
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
 * What `options` say now of waits: they may say something else at the next look.
 * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT` unless they may rule waits
 */
export function checkWaitOptions(options: WaitOptions): WaitOptions {
  const { timeout, signal, spin } = checkOptions('a wait', options, WAIT_OPTIONS)
  checkTimeout('timeout', timeout)
  checkSignal(signal)
  checkSpin(spin)
  return { timeout, signal, spin }
}

/**
 * The limits that a caller's options set from now on.
 * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT`; the reason of a signal that has aborted already
 */
export function limitsOf(options: WaitOptions | undefined, cancel?: Cancel): Limits {
  if (options === undefined) return cancel === undefined ? UNLIMITED : { ...UNLIMITED, cancel }
  const { timeout = Infinity, signal, spin } = checkWaitOptions(options)
  signal?.throwIfAborted()
  const deadline = timeout === Infinity ? Infinity : performance.now() + timeout
  return { timeout, deadline, signal, cancel, spin, hold: true }
}

/** Whether nobody waits any more under these limits. */
export function hasEnded({ signal, cancel }: Limits): boolean {
  return signal?.aborted === true || cancel?.cancelled === true
}

/** How to poll; not at all when left out. */
export function checkSpin(value: unknown): Spin {
  if (value === undefined) return 0
  if (value === 'auto' || (typeof value === 'number' && value >= 0 && value <= MAX_SPIN_US)) return value
  throw invalidArgument('spin', `"auto", or a number of microseconds from 0 to ${MAX_SPIN_US}`, value)
}
