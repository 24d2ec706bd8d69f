import { MillraceError } from '../errors.js'
import { fromCaller } from './callers.js'
import { onAbort } from './cancel.js'
import type { Limits } from './limits.js'
import { hasEnded } from './limits.js'

/** Tries what is waited for, without running user code. Undefined: not yet; a throw ends the wait. */
export type Attempt<T> = () => T | undefined

/** How many waits keep the process alive. */
export class HoldCount {
  count = 0
}

/**
 * Those who wait for one thing, first come first served: only the first tries, so order is kept. Whoever changes what is waited for
 * calls {@link WaitList.pump}.
 */
export class WaitList {
  readonly #waiters: Waiter[] = []
  readonly #holds: HoldCount
  readonly #onLeave: () => void
  readonly #reason: () => string

  /**
   * @param onLeave called after a waiter has left by its limits: the next one may be able to go on
   * @param reason why it does not happen, as far as is known, for a timeout
   */
  constructor(onLeave: () => void, holds = new HoldCount(), reason = () => '') {
    this.#onLeave = onLeave
    this.#holds = holds
    this.#reason = reason
  }

  get size(): number {
    return this.#waiters.length
  }

  /** Joins the end of the list. `what` says in the message of a timeout what did not happen. */
  add<T>(attempt: Attempt<T>, limits: Limits, what: string): Promise<T> {
    const wait = new Promise<T>((resolve, reject) => {
      const waiter = new Waiter(attempt, resolve as (value: unknown) => void, reject)
      this.#waiters.push(waiter)
      if (limits.hold) waiter.hold(this.#holds)
      this.#limit(waiter, limits, what)
    })
    return limits.timeout === Infinity ? wait : fromCaller(wait)
  }

  /** Lets waiters try in their order until one must go on waiting. */
  pump(): void {
    const waiters = this.#waiters
    while (waiters.length > 0 && waiters[0]!.settle()) waiters.shift()
  }

  /** Ends the first wait with `error`. */
  failFirst(error: unknown): void {
    this.#waiters.shift()?.fail(error)
  }

  /** Ends every wait with `error`. */
  failAll(error: unknown): void {
    for (const waiter of this.#waiters.splice(0)) waiter.fail(error)
  }

  /** Ends the wait when its time is over, its signal aborts or whoever waits ends. */
  #limit(waiter: Waiter, limits: Limits, what: string): void {
    const { timeout, deadline, signal, cancel, expired } = limits
    // A call of several waits may be ended between two of them.
    if (hasEnded(limits)) return this.#leave(waiter, () => (signal?.aborted === true ? signal.reason : cancel?.reason))
    if (timeout !== Infinity) {
      const expire = () => {
        // What is waited for may have come while the event loop was busy elsewhere: whoever is first tries once more.
        const settled = this.#waiters[0] === waiter && waiter.settle()
        this.#leave(
          waiter,
          settled
            ? undefined
            : () => (expired === undefined ? timeoutError(what, timeout, this.#reason()) : caught(expired)),
        )
      }
      waiter.timer = setTimeout(expire, Math.max(0, deadline - performance.now()))
    }
    if (signal !== undefined) waiter.offSignal = onAbort(signal, () => this.#leave(waiter, () => signal.reason))
    if (cancel !== undefined) waiter.offCancel = cancel.onCancel(() => this.#leave(waiter, () => cancel.reason))
  }

  #leave(waiter: Waiter, reason: (() => unknown) | undefined): void {
    const index = this.#waiters.indexOf(waiter)
    if (index < 0) return
    this.#waiters.splice(index, 1)
    if (reason !== undefined) waiter.fail(reason())
    this.#onLeave()
  }
}

/** One wait under way. */
class Waiter {
  timer: NodeJS.Timeout | undefined
  offSignal: (() => void) | undefined
  offCancel: (() => void) | undefined
  readonly #attempt: Attempt<unknown>
  readonly #resolve: (value: unknown) => void
  readonly #reject: (error: unknown) => void
  #holds: HoldCount | undefined

  constructor(attempt: Attempt<unknown>, resolve: (value: unknown) => void, reject: (error: unknown) => void) {
    this.#attempt = attempt
    this.#resolve = resolve
    this.#reject = reject
  }

  hold(holds: HoldCount): void {
    holds.count++
    this.#holds = holds
  }

  /** Tries; true when the wait is over, either way. */
  settle(): boolean {
    let result: unknown
    try {
      result = this.#attempt()
    } catch (error) {
      this.fail(error)
      return true
    }
    if (result === undefined) return false
    this.#end()
    this.#resolve(result)
    return true
  }

  fail(error: unknown): void {
    this.#end()
    this.#reject(error)
  }

  /** Nothing of the wait outlives it. */
  #end(): void {
    if (this.#holds !== undefined) this.#holds.count--
    if (this.timer !== undefined) clearTimeout(this.timer)
    this.offSignal?.()
    this.offCancel?.()
  }
}

/** The error that `expired` returns, or the one that kept it from telling. */
function caught(expired: () => unknown): unknown {
  try {
    return expired()
  } catch (error) {
    return error
  }
}

/** The error of a wait whose time is over. */
export function timeoutError(what: string, timeout: number, reason = ''): MillraceError {
  return new MillraceError('ERR_MILLRACE_TIMEOUT', `${what} within ${Math.ceil(timeout)} ms${reason}`)
}
