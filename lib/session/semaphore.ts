import type { Limits } from './limits.js'
import { type HoldCount, WaitList } from './wait-list.js'

/** Lets a bounded number in, first come first served. */
export class Semaphore {
  readonly limit: number
  readonly #what: string
  readonly #waiting: WaitList
  #inside = 0

  /**
   * @param what says in the message of a timeout what did not happen
   * @param holds counts those who wait, if whom they wait for does
   */
  constructor(limit: number, what: string, holds?: HoldCount) {
    this.limit = limit
    this.#what = what
    this.#waiting = new WaitList(() => this.#waiting.pump(), holds)
  }

  /** Whether somebody is inside. */
  get busy(): boolean {
    return this.#inside > 0
  }

  /** Enters if there is room, and nobody waits. */
  tryEnter(): boolean {
    return this.#waiting.size === 0 && this.#admit() === true
  }

  /** Waits for room. */
  async enter(limits: Limits): Promise<void> {
    if (!this.tryEnter()) await this.#waiting.add(() => this.#admit(), limits, this.#what)
  }

  /** Makes room, which goes to whoever waits longest. */
  leave(): void {
    this.#inside--
    this.#waiting.pump()
  }

  #admit(): true | undefined {
    if (this.#inside >= this.limit) return undefined
    this.#inside++
    return true
  }
}
