import type { WaitOptions } from '../options.js'
import { Cancel } from './cancel.js'
import type { Limits } from './limits.js'
import { limitsOf } from './limits.js'
import { TimeSlice } from './time-slice.js'

/** Undefined: nothing now. Null: nothing ever again. */
export type Taken<T> = T | undefined | null

/** Where an iterator's items come from, and what its loop sees of them. */
export interface PullSource<T, R = T> {
  /** Lets go of `done`, if there is one, and takes what is next. */
  take(done?: T): Taken<T>
  /** Waits, under `limits`, until `take` finds something or the end. */
  wait(limits: Limits): Promise<T | null>
  /** What the loop sees of an item; itself when left out. When it throws, it has let go of the item. */
  value?(item: T): R
  /** Lets go of an item. */
  release(item: T): void
  /** Nobody wants the rest. Called once, by an early end or the last item; the loop goes on when what it returns resolves. */
  end?(): void | Promise<void>
}

/**
 * Every iterator of this package. An item is let go of by the `next()` that is called after it was handed out, or by the end of the
 * loop. Calls of `next()` that overlap are served in their order, and none lets go of what its caller has not seen.
 */
export class PullIterator<T, R = T> implements AsyncIterableIterator<R, undefined> {
  readonly #source: PullSource<T, R>
  readonly #options: WaitOptions | undefined
  readonly #cancel = new Cancel()
  readonly #slice = new TimeSlice()
  /** The item handed out last, and others if calls overlap. */
  #current: T | undefined
  #others: T[] | undefined
  /** Calls under way, and the promise of the last. */
  #calls = 0
  #last: Promise<IteratorResult<R, undefined>> | undefined
  #limits: Limits | undefined

  /** Each wait has the time that `options` say; the signal ends the iteration with its reason. */
  constructor(source: PullSource<T, R>, options?: WaitOptions) {
    this.#source = source
    this.#options = options
  }

  next(): Promise<IteratorResult<R, undefined>> {
    const done = this.#current
    this.#current = undefined
    this.#releaseOthers()
    if (this.#calls++ === 0) return (this.#last = this.#pull(done))
    if (done !== undefined) this.#source.release(done)
    const pull = () => this.#pull(undefined)
    return (this.#last = this.#last!.then(pull, pull))
  }

  /** Ends the iteration, and the waits that calls of `next()` are in: nothing is taken that nobody would get. */
  async return(): Promise<IteratorResult<R, undefined>> {
    const current = this.#current
    this.#current = undefined
    if (current !== undefined) this.#source.release(current)
    this.#releaseOthers()
    await this.#end()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #pull(done: T | undefined): Promise<IteratorResult<R, undefined>> {
    try {
      if (this.#slice.exceeded()) {
        if (done !== undefined) this.#source.release(done)
        done = undefined
        await this.#slice.pass()
      }
      const signal = this.#options?.signal
      if (this.#cancel.cancelled || signal?.aborted) {
        if (done !== undefined) this.#source.release(done)
        if (!this.#cancel.cancelled) signal!.throwIfAborted()
        return { value: undefined, done: true }
      }
      let taken = this.#source.take(done)
      if (taken === undefined) taken = await this.#wait()
      if (taken === null) {
        await this.#end()
        return { value: undefined, done: true }
      }
      const value = this.#source.value === undefined ? (taken as unknown as R) : this.#source.value(taken)
      this.#hand(taken)
      return { value, done: false }
    } finally {
      this.#calls--
    }
  }

  async #wait(): Promise<T | null> {
    try {
      const item = await this.#source.wait(this.#limitsNow())
      if (!this.#cancel.cancelled || item === null) return item
      // The loop was left between the wait's end and now.
      this.#source.release(item)
      return null
    } catch (error) {
      if (this.#cancel.cancelled) return null
      throw error
    } finally {
      this.#slice.restart()
    }
  }

  /** Without a timeout every wait has the same limits. */
  #limitsNow(): Limits {
    if (this.#limits === undefined || this.#limits.timeout !== Infinity) {
      this.#limits = limitsOf(this.#options, this.#cancel)
    }
    return this.#limits
  }

  #hand(item: T): void {
    if (this.#current !== undefined) (this.#others ??= []).push(this.#current)
    this.#current = item
  }

  #releaseOthers(): void {
    const others = this.#others
    if (others === undefined) return
    this.#others = undefined
    for (const item of others) this.#source.release(item)
  }

  #end(): void | Promise<void> {
    if (this.#cancel.cancelled) return
    this.#cancel.cancel()
    return this.#source.end?.()
  }
}
