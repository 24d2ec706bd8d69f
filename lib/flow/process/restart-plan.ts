import type { CheckedOptions } from './child-options.js'

/** Whether and when one child is started again. */
export class RestartPlan {
  readonly #options: Pick<CheckedOptions, 'restart' | 'max' | 'window' | 'backoff'>
  /** When it was decided to restart, within the window, oldest first. */
  #recent: number[] = []

  constructor(options: Pick<CheckedOptions, 'restart' | 'max' | 'window' | 'backoff'>) {
    this.#options = options
  }

  /** How long to wait before the restart, in ms; `no`: the policy says that it has ended; `exhausted`: there were too many. */
  next(failed: boolean, now: number): number | 'no' | 'exhausted' {
    const { restart, max, window } = this.#options
    if (restart === 'never' || (restart === 'on-failure' && !failed)) return 'no'
    this.#recent = this.#recent.filter((at) => now - at < window)
    if (this.#recent.length >= max) return 'exhausted'
    const delay = this.#delay(this.#recent.length)
    this.#recent.push(now)
    return delay
  }

  /** After `before` restarts within the window. */
  #delay(before: number): number {
    const { initial, factor, max, jitter } = this.#options.backoff
    return Math.round(Math.min(max, initial * factor ** before) * (1 - jitter * Math.random()))
  }
}
