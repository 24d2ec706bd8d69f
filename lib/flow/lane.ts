import { MillraceError } from '../errors.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { Inlet } from './block-io.js'
import { BlockIo, NOBODY_LISTENS } from './block-io.js'
import { JsCounts } from './js-counts.js'
import type { JsBlock } from './js-block.js'
import type { JsInput, JsOutput } from './js-port.js'
import type { OnError } from './on-error.js'
import { Outlet } from './outlet.js'
import type { BlockStats } from './stats.js'

/** A queue that a flow has made, and how many blocks of JavaScript that send to it have not ended. */
export interface OwnQueue {
  readonly queue: PortQueue<unknown>
  senders: number
}

/** What the queues of a block are. */
export interface Wiring {
  readonly inputs: ReadonlyMap<JsInput<never>, Inlet>
  /** Those that the flow has made, and others. */
  readonly outputs: ReadonlyMap<JsOutput<unknown>, readonly (OwnQueue | PortQueue<unknown>)[]>
  readonly onError: OnError
}

/** A block of JavaScript that runs. */
export class Lane {
  readonly block: JsBlock
  readonly #wiring: Wiring
  readonly #counts: JsCounts
  #ended = false

  constructor(block: JsBlock, wiring: Wiring) {
    this.block = block
    this.#wiring = wiring
    this.#counts = new JsCounts(block.name, block.inputs.length === 0)
  }

  get ended(): boolean {
    return this.#ended
  }

  get stats(): BlockStats {
    return this.#counts.stats
  }

  /**
   * Runs the block from its start to its end, which its neighbours hear of.
   * @throws `MillraceError` `ERR_MILLRACE_BLOCK_FAILED`, with what it failed of as its `cause`
   */
  async run(ending: AbortSignal, stopping: AbortSignal): Promise<void> {
    const counts = this.#counts
    const { inputs, onError } = this.#wiring
    const outputs = new Map(
      [...this.#wiring.outputs].map(([port, targets]) => {
        const queues = targets.map((target) => ('senders' in target ? target.queue : target))
        return [port, new Outlet(port, queues, counts)]
      }),
    )
    const io = new BlockIo({ inputs, outputs, counts, onError, ending, stopping })
    counts.state = 'running'
    counts.switch('busy')
    const failure = await failureOf(() => this.block.work(io))
    const stopped = stopping.aborted && failure?.error === stopping.reason
    const failed = failure !== undefined && failure.error !== NOBODY_LISTENS
    const left = await failureOf(() => this.#leave(io, failed))
    counts.switch('idle')
    this.#ended = true
    const cause = failed && !stopped ? failure : left
    counts.state = cause === undefined ? 'stopped' : 'failed'
    if (cause === undefined) return
    const text = cause.error instanceof Error ? cause.error.message : String(cause.error)
    const message = `block '${this.block.name}': ${text}`
    counts.error = message
    throw new MillraceError('ERR_MILLRACE_BLOCK_FAILED', message, { cause: cause.error })
  }

  /** Closes what it sends to behind the last sender, and removes what it took from, with what is left in it. */
  async #leave(io: BlockIo, failed: boolean): Promise<void> {
    const inlets = [...this.#wiring.inputs.values()]
    if (inlets.some(({ queue }) => queue.session.closed)) return
    await io.end(failed)
    for (const { queue, own } of inlets) {
      if (!own) continue
      queue.close()
      for (let left = queue.receiveMany(256); left.length > 0; left = queue.receiveMany(256)) {
        this.#counts.add('lost', left.length)
        for (const message of left) message.release()
      }
      queue.destroy()
    }
    for (const target of [...this.#wiring.outputs.values()].flat()) {
      if ('senders' in target && --target.senders === 0 && !target.queue.session.closed) target.queue.close()
    }
  }
}

/** What `work` fails with. */
async function failureOf(work: () => Promise<void>): Promise<{ readonly error: unknown } | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    return { error }
  }
}
