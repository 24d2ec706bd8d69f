import { MillraceError } from '../../errors.js'
import { onAbort } from '../../session/cancel.js'
import { BlockIo, NOBODY_LISTENS } from './block-io.js'
import type { Clock } from '../block/clock.js'
import { JsCounts } from './js-counts.js'
import type { JsBlock } from './js-block.js'
import type { JsInput, JsOutput } from '../block/js-port.js'
import type { OnError } from './on-error.js'
import { failureOf } from './on-error.js'
import { Outlet } from './outlet.js'
import type { QueueEnd, Route } from './own-queue.js'
import { NOTHING_LEFT } from './own-queue.js'
import type { BlockStats } from '../block/stats.js'

/** What the queues of a block are. */
export interface Wiring {
  readonly inputs: ReadonlyMap<JsInput<never>, QueueEnd>
  readonly outputs: ReadonlyMap<JsOutput<unknown>, readonly Route[]>
  readonly onError: OnError
  /** Most messages that it takes at once. */
  readonly batch: number
}

/** A block of JavaScript that runs. */
export class Lane {
  readonly block: JsBlock
  readonly #wiring: Wiring
  readonly #counts: JsCounts
  #ended = false
  /** Since when it is to end. */
  #toEnd = Infinity

  constructor(block: JsBlock, name: string, wiring: Wiring) {
    this.block = block
    this.#wiring = wiring
    this.#counts = new JsCounts(name, block.inputs.length === 0)
  }

  get ended(): boolean {
    return this.#ended
  }

  /** How long its work has not returned, in ms. A source may wait for what comes from outside, until it is to end. */
  get working(): number {
    const { working } = this.stats
    return this.#counts.isSource ? Math.min(working, performance.now() - this.#toEnd) : working
  }

  get stats(): BlockStats {
    return this.#counts.stats
  }

  /**
   * Runs the block from its start to its end, which its neighbours hear of.
   * @throws `MillraceError` `ERR_MILLRACE_BLOCK_FAILED`, with what it failed of as its `cause`
   */
  async run(ending: AbortSignal, stopping: AbortSignal, clock: Clock): Promise<void> {
    const counts = this.#counts
    const { inputs, onError, batch } = this.#wiring
    const outputs = new Map([...this.#wiring.outputs].map(([port, routes]) => [port, new Outlet(port, routes, counts)]))
    const io = new BlockIo({ inputs, outputs, counts, onError, batch, ending, stopping, clock })
    const forget = onAbort(ending, () => (this.#toEnd = performance.now()))
    counts.state = 'running'
    counts.switch('busy')
    const failure = await failureOf(() => this.block.work(io))
    const stopped = stopping.aborted && failure?.error === stopping.reason
    const failed = failure !== undefined && failure.error !== NOBODY_LISTENS
    const left = await failureOf(() => this.#leave(io, failed))
    counts.switch('idle')
    this.#ended = true
    forget()
    const cause = failed && !stopped ? failure : left
    counts.state = cause === undefined ? 'stopped' : 'failed'
    if (cause === undefined) return
    const text = cause.error instanceof Error ? cause.error.message : String(cause.error)
    const message = `block "${this.stats.name}": ${text}`
    counts.error = message
    throw new MillraceError('ERR_MILLRACE_BLOCK_FAILED', message, { cause: cause.error })
  }

  /** Closes what it sends to behind the last sender, and removes what it took from, with what is left in it. */
  #leave(io: BlockIo, failed: boolean): void {
    const inlets = [...this.#wiring.inputs.values()]
    if (inlets.some(({ queue }) => queue.session.closed)) return
    io.end(failed)
    for (const { own } of inlets) {
      const { lost, gaps } = own?.receiverLeft() ?? NOTHING_LEFT
      this.#counts.add('lost', lost)
      this.#counts.add('gaps', gaps)
    }
    const routes = [...this.#wiring.outputs.values()].flat()
    for (const { own } of routes.flatMap(({ ends }) => ends)) own?.senderLeft()
  }
}
