import type { Limits } from '../../session/limits.js'
import { limitsOf } from '../../session/limits.js'
import type { PullSource, Taken } from '../../session/pull-iterator.js'
import { PullIterator } from '../../session/pull-iterator.js'
import type { Intake } from './intake.js'
import type { JsCounts } from './js-counts.js'
import type { Values } from './values.js'

/** How a block takes. */
export interface TakeOptions {
  /** Most messages of a batch. */
  readonly batch: number
  /** Sources are to end, and queues that others send to are emptied. */
  readonly ending: AbortSignal
  /** Everything is to end. */
  readonly stopping: AbortSignal
}

/** What a block takes at one of its inputs. */
export class Taking<V> implements PullSource<Values<V>> {
  readonly #intake: Intake<V>
  readonly #counts: JsCounts
  readonly #options: TakeOptions
  /** The batch that the block works on. */
  #batch: Values<V> | undefined

  constructor(intake: Intake<V>, counts: JsCounts, options: TakeOptions) {
    this.#intake = intake
    this.#counts = counts
    this.#options = options
  }

  /** Batch by batch. Each is done with when the next one is asked for; not when a loop is left, which may be by a failure. */
  batches(): AsyncIterableIterator<Values<V>, undefined> {
    const batches = new PullIterator(this, { signal: this.#options.stopping })
    return {
      next: () => {
        this.leave(false)
        this.#counts.switch('starved')
        return batches.next()
      },
      return: () => batches.return(),
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  take(): Taken<Values<V>> {
    const taken = this.#intake.take(this.#options.batch)
    return taken && this.#begin(taken)
  }

  async wait(limits: Limits): Promise<Values<V> | null> {
    const taken = await this.#intake.wait(this.#options.batch, limits)
    return taken && this.#begin(taken)
  }

  /** Left to `next()`, and to {@link Taking.leave}. */
  release(): void {}

  /** The next value alone, to be settled by {@link Taking.done} or {@link Taking.leaveRest}; null: nothing more comes. */
  async one(): Promise<Values<V> | null> {
    this.#counts.switch('starved')
    const limits = limitsOf({ signal: this.#options.stopping })
    const taken = this.#intake.take(1) ?? (await this.#intake.wait(1, limits))
    this.#counts.switch('busy')
    if (taken !== null) this.#counts.add('gaps', taken.gap)
    return taken
  }

  /** `values` have been dealt with. */
  done(values: Values<V>): void {
    this.#counts.add('itemsIn', values.length)
    values.release()
  }

  /** What of `values` is not done with goes back to its queue, or is lost. */
  leaveRest(values: Values<V>): void {
    const left = values.giveBack()
    this.#counts.add('itemsIn', values.length - left)
    if (!this.#intake.redelivers) this.#counts.add('lost', left)
  }

  /** The block does nothing more with the batch that it has. */
  leave(failed: boolean): void {
    const batch = this.#batch
    this.#batch = undefined
    if (batch === undefined) return
    if (failed) this.leaveRest(batch)
    else this.done(batch)
  }

  #begin(taken: Values<V>): Values<V> {
    this.#counts.switch('busy')
    this.#counts.add('gaps', taken.gap)
    this.#batch = taken
    return taken
  }
}
