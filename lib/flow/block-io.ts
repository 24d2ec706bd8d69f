import { hasCode } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { Batch } from '../queue/batch.js'
import type { JsCounts } from './js-counts.js'
import type { JsInput, JsOutput } from './js-port.js'
import type { OnError, SKIPPED } from './on-error.js'
import { recover } from './on-error.js'
import type { Outlet } from './outlet.js'
import type { QueueEnd } from './own-queue.js'
import { Values } from './values.js'

/** Ends the work of a block to whose outputs nobody listens any more. It is no failure. */
export const NOBODY_LISTENS = Symbol('nobody listens')

/** @internal What a flow gives a block to work with. */
export interface IoParts {
  readonly inputs: ReadonlyMap<JsInput<never>, QueueEnd>
  readonly outputs: ReadonlyMap<JsOutput<unknown>, Outlet>
  readonly counts: JsCounts
  readonly onError: OnError
  /** Most messages of a batch. */
  readonly batch: number
  /** Sources are to end, and queues that others send to are emptied. */
  readonly ending: AbortSignal
  /** Everything is to end. */
  readonly stopping: AbortSignal
}

/** What a block is taking at an input. */
interface Taking {
  readonly batches: AsyncGenerator<Batch, void>
  /** Whether what it gives back is delivered again. */
  readonly redelivers: boolean
  /** What it has of that. */
  batch: Batch | undefined
}

/** What a block of JavaScript works with. */
export class BlockIo {
  readonly #parts: IoParts
  readonly #taking = new Map<JsInput<never>, Taking>()

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

  /** @internal */
  get counts(): JsCounts {
    return this.#parts.counts
  }

  /**
   * Takes the messages of an input, batch by batch, until nothing more comes. Those of a batch are let go of, and acknowledged, when the
   * next one is asked for or the work has ended; so send first what was made of them. If the work fails, they go back to a queue that
   * delivers again.
   */
  async *take<V>(input: JsInput<never, V>): AsyncGenerator<Values<V>, void> {
    const { counts } = this.#parts
    const taking = this.#takingOf(input)
    for (;;) {
      counts.add('itemsIn', taking.batch?.length ?? 0)
      taking.batch = undefined
      counts.switch('starved')
      const { value, done } = await taking.batches.next()
      counts.switch('busy')
      if (done === true) return
      counts.add('gaps', value.gap)
      taking.batch = value
      yield new Values(value, input.type)
    }
  }

  /** @internal The work has ended: lets go of what it had taken. */
  async end(failed: boolean): Promise<void> {
    for (const { batch, batches, redelivers } of this.#taking.values()) {
      if (failed && batch !== undefined) this.#giveBack(batch, redelivers)
      else this.#parts.counts.add('itemsIn', batch?.length ?? 0)
      await batches.return(undefined)
    }
  }

  /** What of `batch` is not done with goes back to its queue, or is lost. */
  #giveBack(batch: Batch, redelivers: boolean): void {
    let left = 0
    for (const message of batch) {
      if (message.released) continue
      left++
      message.nack()
    }
    this.#parts.counts.add('itemsIn', batch.length - left)
    if (!redelivers) this.#parts.counts.add('lost', left)
  }

  #takingOf(input: JsInput<never>): Taking {
    const known = this.#taking.get(input)
    if (known !== undefined) return known
    const redelivers = this.#inlet(input).queue.info?.delivery === 'at-least-once'
    const taking: Taking = { batches: this.#batches(input), batch: undefined, redelivers }
    this.#taking.set(input, taking)
    return taking
  }

  /** @internal The next message, which is the caller's to release; null: nothing more comes. */
  async next(input: JsInput<never>): Promise<BufferPtr | null> {
    const { counts, stopping, ending } = this.#parts
    const { queue, own } = this.#inlet(input)
    const message = queue.tryReceive()
    if (message !== null) return message
    counts.switch('starved')
    try {
      return await queue.receive({ signal: own === undefined ? ending : stopping })
    } catch (error) {
      stopping.throwIfAborted()
      if (queue.session.closed) throw error
      if (hasCode(error, 'ERR_MILLRACE_CLOSED') || (own === undefined && ending.aborted)) return queue.tryReceive()
      throw error
    } finally {
      counts.switch('busy')
    }
  }

  /** @internal Whether a message that work fails with is tried again, or given up. */
  get recovers(): boolean {
    const { retries, skips, deadLetters } = this.#parts.onError
    return retries > 0 || skips || deadLetters !== undefined
  }

  /** @internal Lets go of a message that {@link BlockIo.next} has returned. */
  done(message: BufferPtr): void {
    this.#parts.counts.add('itemsIn', 1)
    this.#parts.counts.add('gaps', message.gap)
    message.release()
  }

  /** @internal Work on `message` has failed with `error`: does what the options of the block say. */
  recover<R>(error: unknown, message: () => BufferPtr, again: () => R | PromiseLike<R>): Promise<R | typeof SKIPPED> {
    const { onError, counts, stopping } = this.#parts
    return recover(onError, counts, error, stopping, message, again)
  }

  /** Sends `values`, in order, to whatever the output is linked to; resolves when they are in its queues. */
  async send<V>(output: JsOutput<unknown, V>, values: readonly NoInfer<V>[]): Promise<void> {
    const { counts, stopping, outputs } = this.#parts
    counts.switch('backpressured')
    await outputs.get(output)!.send(values, stopping)
    counts.switch('busy')
    for (const outlet of outputs.values()) if (!outlet.closed) return
    throw NOBODY_LISTENS
  }

  /** What comes at an input. A queue that others send to is emptied when the flow ends, and has no other end than that. */
  async *#batches(input: JsInput<never>): AsyncGenerator<Batch, void> {
    const { stopping, ending, batch: max } = this.#parts
    const { queue, own } = this.#inlet(input)
    if (own !== undefined) {
      yield* queue.batches({ signal: stopping, max })
      return
    }
    try {
      yield* queue.batches({ signal: ending, max })
    } catch (error) {
      stopping.throwIfAborted()
      if (!ending.aborted || error !== ending.reason) throw error
    }
    try {
      yield* queue.batches({ timeout: 0, max })
    } catch (error) {
      // It is empty.
      if (!hasCode(error, 'ERR_MILLRACE_TIMEOUT')) throw error
    }
  }

  #inlet(input: JsInput<never>): QueueEnd {
    return this.#parts.inputs.get(input)!
  }
}
