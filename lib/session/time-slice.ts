import { setImmediate } from 'node:timers/promises'

/** How long a loop that always finds work may keep the event loop to itself, in ms. */
const SLICE_MS = 5
const STEPS_MAX = 64

/** Tells a loop that always finds work when to let timers and I/O have their turn. */
export class TimeSlice {
  #since = performance.now()
  #looked = this.#since
  // Nobody knows yet how long steps are.
  #steps = 1
  #left = 1

  /** Counts one step of work. True: the slice is over, await {@link TimeSlice.pass} before the next step. */
  exceeded(): boolean {
    return --this.#left <= 0 && this.#look()
  }

  // Apart, so that the step itself is small enough to be compiled into the loop.
  #look(): boolean {
    const now = performance.now()
    const rest = SLICE_MS - (now - this.#since)
    const pace = (now - this.#looked) / this.#steps
    // Looking at the clock costs as much as a small message: the next look comes when half of the rest is over, at the pace of the last steps.
    const steps = Math.min(this.#steps << 1, STEPS_MAX, rest / 2 / pace)
    // A small integer, also for the engine: it is counted down at every step.
    this.#steps = steps >= 1 ? steps | 0 : 1
    this.#left = this.#steps
    this.#looked = now
    return rest <= 0
  }

  /** Lets the event loop turn once. */
  async pass(): Promise<void> {
    await setImmediate()
    this.restart()
  }

  /** The event loop has turned for another reason, such as a wait. */
  restart(): void {
    this.#since = performance.now()
    this.#looked = this.#since
  }
}
