import type { WaitOptions } from '../options.js'

/** Tries what is waited for, without running user code. Undefined: not yet; a throw ends the wait. */
export type Attempt<T> = () => T | undefined

/** One wait under way. */
export interface Wait {
  /** Tries; true when the wait is over, either way. */
  settle(): boolean
  fail(error: unknown): void
}

/** A wait behind a promise. */
export class Waiter<T> implements Wait {
  settled = false
  readonly #attempt: Attempt<T>
  readonly #resolve: (value: T) => void
  readonly #reject: (error: unknown) => void
  readonly #ends: (() => void)[] = []

  constructor(attempt: Attempt<T>, resolve: (value: T) => void, reject: (error: unknown) => void) {
    this.#attempt = attempt
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Adds what to undo when the wait is over. */
  onEnd(undo: () => void): void {
    this.#ends.push(undo)
  }

  settle(): boolean {
    try {
      const result = this.#attempt()
      if (result === undefined) return false
      this.#end()
      this.#resolve(result)
    } catch (error) {
      this.fail(error)
    }
    return true
  }

  fail(error: unknown): void {
    this.#end()
    this.#reject(error)
  }

  #end(): void {
    this.settled = true
    for (const undo of this.#ends) undo()
  }
}

/** Options for each of several waits that share one timeout. */
export function budgetOf(options: WaitOptions | undefined): () => WaitOptions | undefined {
  const limit = options?.timeout
  if (limit === undefined) return () => options
  const end = performance.now() + limit
  return () => ({ ...options, timeout: Math.max(0, end - performance.now()) })
}
