import type { Limits, WaitOptions } from './limits.js'
import { Cancel } from './cancel.js'
import { checkWaitOptions, limitsOf } from './limits.js'
import { TimeSlice } from './time-slice.js'

/** Undefined: nothing now. Null: nothing ever again. */
export type Taken<T> = T | undefined | null

/** Where an iterator's items come from, and what its loop sees of them. */
export interface PullSource<T extends object, R = T> {
  /** Lets go of `done`, if there is one, and takes what is next. */
  take(done?: T): Taken<T>
  /** Waits, under `limits`, until there is an item or the end. `tried`: there was nothing a moment ago. */
  wait(limits: Limits, tried: boolean): Promise<T | null>
  /** What the loop sees of an item; itself when left out. When it throws, it has let go of the item. */
  value?(item: T): R
  /** Lets go of an item whose turn has ended. */
  release(item: T): void
  /** Takes back an item whose turn has not ended, because the loop was left. Left out: as {@link PullSource.release}. */
  giveBack?(item: T): void
  /** Nobody wants the rest. Called once, by an early end or the last item; the loop goes on when what it returns resolves. */
  end?(): void | Promise<void>
}

/**
 * Every iterator of this package. An item is let go of by the `next()` that is called after it was handed out: it alone says that the
 * loop has come to the end of its turn. A loop that is left gives back what it has. Calls of `next()` that overlap are served in their
 * order, and none lets go of what its caller has not seen.
 */
export class PullIterator<T extends object, R = T> implements AsyncIterableIterator<R, undefined> {
  readonly #source: PullSource<T, R>
  readonly #options: WaitOptions | undefined
  readonly #signal: AbortSignal | undefined
  readonly #cancel = new Cancel()
  readonly #slice = new TimeSlice()
  /** The item handed out last, and others if calls overlap. */
  #current: T | undefined
  #others: T[] | undefined
  /** Calls that wait, and what the last of them comes to. */
  #waiting = 0
  #last: Promise<unknown> | undefined
  #limits: Limits | undefined

  /** Each wait has the time that `options` say; the signal ends the iteration with its reason. */
  constructor(source: PullSource<T, R>, options?: WaitOptions) {
    this.#source = source
    this.#options = options && checkWaitOptions(options)
    this.#signal = this.#options?.signal
  }

  next(): Promise<IteratorResult<R, undefined>> {
    const done = this.#current
    this.#current = undefined
    if (this.#others !== undefined) this.#releaseOthers()
    if (this.#waiting > 0) return this.#queueUp(done)
    if (this.#slice.exceeded() || this.#hasEnded()) return this.#wait(done, false)
    try {
      const taken = this.#source.take(done)
      if (taken === null) return this.#finish()
      return taken === undefined ? this.#wait(undefined, true) : Promise.resolve(this.#result(taken))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Ends the iteration, and the waits that calls of `next()` are in: nothing is taken that nobody would get. */
  async return(): Promise<IteratorResult<R, undefined>> {
    const others = this.#others
    const current = this.#current
    this.#others = this.#current = undefined
    if (others !== undefined) for (const item of others) this.#giveBack(item)
    if (current !== undefined) this.#giveBack(current)
    return await this.#finish()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #hasEnded(): boolean {
    return this.#cancel.cancelled || this.#signal?.aborted === true
  }

  /** Serves a call after those that wait already. */
  #queueUp(done: T | undefined): Promise<IteratorResult<R, undefined>> {
    if (done !== undefined) this.#source.release(done)
    const wait = () => this.#wait(undefined, true)
    this.#waiting++
    const mine = this.#last!.then(wait, wait).finally(() => this.#waiting--)
    this.#last = mine
    return mine
  }

  #wait(done: T | undefined, tried: boolean): Promise<IteratorResult<R, undefined>> {
    const mine = this.#pull(done, tried)
    this.#last = mine
    return mine
  }

  /** @param tried whether there was nothing a moment ago; else the event loop turns first */
  async #pull(done: T | undefined, tried: boolean): Promise<IteratorResult<R, undefined>> {
    this.#waiting++
    try {
      if (done !== undefined) this.#source.release(done)
      if (!tried && !this.#hasEnded()) await this.#slice.pass()
      if (this.#cancel.cancelled) return DONE
      this.#signal?.throwIfAborted()
      const taken = await this.#source.wait(this.#limitsNow(), tried)
      return taken === null ? await this.#finish() : this.#result(taken)
    } catch (error) {
      if (this.#cancel.cancelled) return DONE
      throw error
    } finally {
      this.#waiting--
      this.#slice.restart()
    }
  }

  /** Without a timeout every wait has the same limits. */
  #limitsNow(): Limits {
    if (this.#limits === undefined || this.#limits.timeout !== Infinity) {
      this.#limits = { ...limitsOf(this.#options, this.#cancel), yields: true }
    }
    return this.#limits
  }

  /** Hands an item out. */
  #result(taken: T): IteratorResult<R, undefined> {
    if (this.#cancel.cancelled) {
      // The loop was left between the wait's end and now.
      this.#giveBack(taken)
      return DONE
    }
    const source = this.#source
    const value = source.value === undefined ? (taken as unknown as R) : source.value(taken)
    if (this.#current !== undefined) (this.#others ??= []).push(this.#current)
    this.#current = taken
    return { value, done: false }
  }

  #releaseOthers(): void {
    const others = this.#others!
    this.#others = undefined
    for (const item of others) this.#source.release(item)
  }

  #giveBack(item: T): void {
    const source = this.#source
    if (source.giveBack === undefined) source.release(item)
    else source.giveBack(item)
  }

  async #finish(): Promise<IteratorResult<R, undefined>> {
    if (!this.#cancel.cancelled) {
      this.#cancel.cancel()
      await this.#source.end?.()
    }
    return DONE
  }
}

const DONE: IteratorResult<never, undefined> = Object.freeze({ value: undefined, done: true })
