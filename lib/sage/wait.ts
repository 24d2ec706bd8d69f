import { invalidArgument, type MillraceError } from '../errors.js'
import type { OptionNames } from '../check.js'
import { checkOptions, MAX_TIMEOUT_MS } from '../check.js'
import type { Cancel } from '../session/cancel.js'
import type { Limits } from '../session/limits.js'
import { limitsOf } from '../session/limits.js'

/** Options of everything that waits. */
export interface SageWaitOptions {
  /** How long to wait, in seconds. Default: for ever. */
  timeout?: number
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal
}

const SAGE_WAIT_OPTIONS: OptionNames<SageWaitOptions> = { timeout: true, signal: true }
const MAX_SECONDS = Math.floor(MAX_TIMEOUT_MS / 1000)

/** The limits that `options` set from now on; a wait whose time is over is rejected with what `expired` returns. */
export function sageLimits(
  options: SageWaitOptions | undefined,
  cancel: Cancel,
  expired: (seconds: number) => MillraceError,
): Limits {
  if (options === undefined) return limitsOf(undefined, cancel)
  const { timeout = Infinity, signal } = checkOptions('a wait', options, SAGE_WAIT_OPTIONS)
  checkSeconds(timeout)
  return { ...limitsOf({ timeout: timeout * 1000, signal }, cancel), expired: () => expired(timeout) }
}

function checkSeconds(timeout: unknown): void {
  if (timeout === Infinity || (typeof timeout === 'number' && timeout >= 0 && timeout <= MAX_SECONDS)) return
  throw invalidArgument('timeout', `a number of seconds from 0 to ${MAX_SECONDS}, or Infinity`, timeout)
}
