import type { BufferPtr } from '../../memory/buffer-ptr.js'
import type { Progress } from '../../queue/progress.js'
import type { Clock } from '../block/clock.js'
import { intakeOf } from './intake.js'
import type { JsCounts } from './js-counts.js'
import type { JsInput, JsOutput } from '../block/js-port.js'
import type { OnError, SKIPPED } from './on-error.js'
import { recover } from './on-error.js'
import type { Outlet } from './outlet.js'
import type { QueueEnd } from './own-queue.js'
import type { TakeOptions } from './taking.js'
import { Taking } from './taking.js'
import type { Values } from './values.js'

/** Ends the work of a block to whose outputs nobody listens any more. It is no failure. */
export const NOBODY_LISTENS = Symbol('nobody listens')

/** @internal What a flow gives a block to work with. */
export interface IoParts extends TakeOptions {
  readonly inputs: ReadonlyMap<JsInput<never>, QueueEnd>
  readonly outputs: ReadonlyMap<JsOutput<unknown>, Outlet>
  readonly counts: JsCounts
  readonly onError: OnError
  readonly clock: Clock
}

/** What a block of JavaScript works with. */
export class BlockIo {
  readonly #parts: IoParts
  readonly #taking = new Map<JsInput<never>, Taking<unknown>>()

  /** @internal */
  constructor(parts: IoParts) {
    this.#parts = parts
  }

  /** Aborts when sources are to end, by `drain()` or since a block has failed: send what is at hand, and return. */
  get ending(): AbortSignal {
    return this.#parts.ending
  }

  /** Aborts when everything is to end, by `stop()`. What waits here ends with its reason, which is no failure of the block. */
  get stopping(): AbortSignal {
    return this.#parts.stopping
  }

  /** The time to go by: that of the machine, or of a test, see {@link mock}. */
  get clock(): Clock {
    return this.#parts.clock
  }

  /** @internal */
  get counts(): JsCounts {
    return this.#parts.counts
  }

  /**
   * Takes the messages of an input, batch by batch, until nothing more comes. Those of a batch are let go of, and acknowledged, when the
   * next one is asked for or the work has ended; so send first what was made of them. If the work fails, they go back to a queue that
   * delivers again.
   */
  take<V>(input: JsInput<never, V>): AsyncIterableIterator<Values<V>, undefined> {
    return this.taking(input).batches()
  }

  /** @internal */
  taking<V>(input: JsInput<never, V>): Taking<V> {
    const known = this.#taking.get(input) as Taking<V> | undefined
    if (known !== undefined) return known
    const { inputs, counts, ending } = this.#parts
    const intake = intakeOf(inputs.get(input)!, input.type, ending)
    const taking = new Taking(intake, counts, this.#parts)
    this.#taking.set(input, taking)
    return taking
  }

  /** @internal The work has ended: lets go of what it had taken. */
  end(failed: boolean): void {
    for (const taking of this.#taking.values()) taking.leave(failed)
  }

  /** @internal Whether a message that work fails with is tried again, or given up. */
  get recovers(): boolean {
    const { retries, skips, deadLetters } = this.#parts.onError
    return retries > 0 || skips || deadLetters !== undefined
  }

  /** @internal Work on `message` has failed with `error`: does what the options of the block say. */
  recover<R>(error: unknown, message: () => BufferPtr, again: () => R | PromiseLike<R>): Promise<R | typeof SKIPPED> {
    return recover(this.#parts, error, message, again)
  }

  /** Sends `values`, in order, to whatever the output is linked to; resolves when they are in its queues. */
  async send<V>(output: JsOutput<unknown, V>, values: readonly NoInfer<V>[]): Promise<void> {
    await this.deliver(output, values, { done: 0 })
  }

  /** @internal How many values the smallest queue at an output has room for. */
  capacityOf(output: JsOutput<unknown>): number {
    return this.#parts.outputs.get(output)!.capacity
  }

  /** @internal `values` will not be sent. */
  lose(output: JsOutput<unknown>, values: readonly unknown[]): void {
    this.#parts.outputs.get(output)!.lose(values)
  }

  /** @internal The same at once, if that can be done; the list is not the caller's any more then. False: nothing has been sent. */
  trySend(output: JsOutput<unknown>, values: readonly unknown[]): boolean {
    return this.#parts.outputs.get(output)!.trySend(values, this.#parts.stopping)
  }

  /** @internal The same; `progress` says, also when it throws, of how many of the first nothing is left to be sent. */
  async deliver(output: JsOutput<unknown>, values: readonly unknown[], progress: Progress): Promise<void> {
    const { counts, stopping, outputs } = this.#parts
    counts.switch('backpressured')
    try {
      await outputs.get(output)!.send(values, stopping, progress)
    } finally {
      counts.switch('busy')
    }
    for (const each of outputs.values()) if (!each.closed) return
    throw NOBODY_LISTENS
  }
}
