import { invalidArgument, type MillraceError } from '../errors.js'
import { checkObject, checkSignal } from '../check.js'
import type { Cancel } from '../session/cancel.js'
import type { Limits } from '../session/limits.js'
import { UNLIMITED } from '../session/limits.js'

/** Options of everything that waits. */
export interface SageWaitOptions {
  /** How long to wait, in seconds. Default: for ever. */
  timeout?: number
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal
}

/** setTimeout's limit. */
const MAX_SECONDS = Math.floor((2 ** 31 - 1) / 1000)

/** The limits that `options` set from now on; a wait whose time is over is rejected with what `expired` returns. */
export function sageLimits(
  options: SageWaitOptions | undefined,
  cancel: Cancel,
  expired: (seconds: number) => MillraceError,
): Limits {
  if (options === undefined) return { ...UNLIMITED, cancel }
  const { timeout = Infinity, signal } = checkObject('options', options)
  checkSeconds(timeout)
  checkSignal(signal)?.throwIfAborted()
  const ms = timeout * 1000
  const deadline = ms === Infinity ? Infinity : performance.now() + ms
  return { ...UNLIMITED, timeout: ms, deadline, signal, cancel, expired: () => expired(timeout) }
}

function checkSeconds(timeout: unknown): void {
  if (timeout === Infinity || (typeof timeout === 'number' && timeout >= 0 && timeout <= MAX_SECONDS)) return
  throw invalidArgument('timeout', `a number of seconds from 0 to ${MAX_SECONDS}, or Infinity`, timeout)
}
