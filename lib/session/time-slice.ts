import { setImmediate } from 'node:timers/promises'

/** How long a loop that always finds work may keep the event loop to itself, in ms. */
const SLICE_MS = 5
const STEPS_MAX = 64

/** Tells a loop that always finds work when to let timers and I/O have their turn. */
export class TimeSlice {
  #since = performance.now()
  // Nobody knows yet how long steps are.
  #steps = 1
  #left = 1

  /** Counts one step of work. True: the slice is over, await {@link TimeSlice.pass} before the next step. */
  exceeded(): boolean {
    if (--this.#left > 0) return false
    const elapsed = performance.now() - this.#since
    // Looking at the clock costs as much as a small message; look seldom when steps are short, at every step when they are long.
    this.#steps = elapsed > SLICE_MS / 2 ? Math.max(1, this.#steps >> 1) : Math.min(STEPS_MAX, this.#steps << 1)
    this.#left = this.#steps
    return elapsed >= SLICE_MS
  }

  /** Lets the event loop turn once. */
  async pass(): Promise<void> {
    await setImmediate()
    this.restart()
  }

  /** The event loop has turned for another reason, such as a wait. */
  restart(): void {
    this.#since = performance.now()
  }
}
