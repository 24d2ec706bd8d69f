import { Ending, type Limits } from '../session/ending.js'
import type { Taken } from './receiver.js'
import type { WaitOptions } from '../options.js'
import { TimeSlice } from '../session/time-slice.js'

/** Lets go of `done`, if there is one, and takes what is next. */
export type Take<T> = (done: T | undefined) => Taken<T>

/** Waits, under `limits`, until `take` finds something or the end. */
export type WaitFor<T> = (limits: Limits, take: () => Taken<T>) => Promise<T | null>

/**
 * Iterates over what arrives, each item released when its turn of the loop ends: by the next one, `break` or a throw.
 * Ends when the queue is closed and drained.
 */
export class Turns<T extends { release(): void }> implements AsyncIterableIterator<T, undefined> {
  readonly #take: Take<T>
  readonly #wait: WaitFor<T>
  readonly #ending = new Ending()
  readonly #limits: Limits
  readonly #slice = new TimeSlice()
  #current: T | undefined

  constructor(take: Take<T>, wait: WaitFor<T>, options: WaitOptions) {
    this.#take = take
    this.#wait = wait
    this.#limits = { ...options, ending: this.#ending }
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    if (this.#slice.spent()) {
      this.#release()
      await this.#slice.pass()
    }
    if (this.#ending.ended || this.#limits.signal?.aborted) {
      this.#release()
      if (!this.#ending.ended) this.#limits.signal!.throwIfAborted()
      return { value: undefined, done: true }
    }
    const done = this.#current
    this.#current = undefined
    let taken = this.#take(done)
    if (taken === undefined) taken = await this.#park()
    if (taken === null) return { value: undefined, done: true }
    this.#current = taken
    return { value: taken, done: false }
  }

  /** Ends the iteration, and the wait that a `next()` may be in: nothing is taken that nobody would get. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#release()
    this.#ending.end()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #park(): Promise<T | null> {
    try {
      return await this.#wait(this.#limits, () => this.#take(undefined))
    } catch (error) {
      if (this.#ending.ended) return null
      throw error
    } finally {
      this.#slice.restart()
    }
  }

  #release(): void {
    const current = this.#current
    this.#current = undefined
    current?.release()
  }
}
