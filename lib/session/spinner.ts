import type { Spin } from './limits.js'
import type { Attempt } from './wait-list.js'

const TRIES_PER_LOOK = 8
/** What `auto` polls at most, in µs: longer than it takes to wake the other side, or two who both sleep would never get going. */
const AUTO_US = 200
/** The rarest that `auto` polls: every 64th wait. */
const MISSES_MAX = 6

/**
 * Polls before a wait sleeps, for what comes sooner than a sleeper wakes. `auto` adapts: while it is in vain ever fewer waits begin
 * with it; the first that succeeds brings it back.
 */
export class Spinner {
  #misses = 0
  #skip = 0

  /** Tries for as long as `spin` says; undefined: in vain, or not now. */
  spin<T>(spin: Spin, attempt: Attempt<T>): T | undefined {
    if (spin === 0) return undefined
    if (spin !== 'auto') return poll(spin, attempt)
    if (this.#skip > 0) {
      this.#skip--
      return undefined
    }
    const result = poll(AUTO_US, attempt)
    this.#misses = result === undefined ? Math.min(this.#misses + 1, MISSES_MAX) : 0
    this.#skip = 2 ** this.#misses - 1
    return result
  }
}

function poll<T>(limit: number, attempt: Attempt<T>): T | undefined {
  const end = performance.now() + limit / 1e3
  do {
    for (let i = 0; i < TRIES_PER_LOOK; i++) {
      const result = attempt()
      if (result !== undefined) return result
    }
  } while (performance.now() < end)
  return undefined
}
