import { EventEmitter } from 'node:events'
import type { OptionNames } from '../../check.js'
import { checkOptions, checkTimeout } from '../../check.js'
import type { ShmManager } from '../../domain/manager.js'
import { invalidArgument, misuse } from '../../errors.js'
import type { BindingFlow } from '../../native/native.js'
import type { BlockHost } from '../block/block.js'
import { notOurs } from '../block/block.js'
import { NativeBlock } from './native-block.js'
import type { BlockOptions, LinkOptions, SchedulerOptions } from '../block/options.js'
import { BLOCK_OPTIONS, LINK_OPTIONS, SCHEDULER_OPTIONS } from '../block/options.js'
import { bindBlock, bindLink, bindScheduler, checkStallTimeout } from '../block/options.js'
import type { OuterQueue } from '../block/port.js'
import { checkQueue, InputPort, OutputPort } from '../block/port.js'
import { FlowRun } from './run.js'
import type { Stall, StallEvents } from '../block/stall-watch.js'
import type { BlockStats, Report } from '../block/stats.js'
import { notStarted } from '../block/stats.js'

/** @internal How long a stop may take unless it says itself, in ms. */
export const STOP_TIMEOUT_MS = 10_000

/** What {@link Scheduler.drain} and {@link Scheduler.stop} take. */
export interface EndOptions {
  /** How long it may take, in ms; then `ERR_MILLRACE_TIMEOUT`. */
  timeout?: number
}

/** @internal */
export const END_OPTIONS: OptionNames<EndOptions> = { timeout: true }

type BoundBlock = BindingFlow['blocks'][number]
type BoundPort = BindingFlow['links'][number]['from']

/**
 * Runs native blocks by threads of its own, beside the event loop, each when its inputs have messages and its outputs have room. It takes
 * part in the domain as a participant called `scheduler`, from {@link Scheduler.run} until its blocks have ended.
 */
export class Scheduler extends EventEmitter<StallEvents> implements BlockHost, AsyncDisposable {
  readonly #shm: ShmManager
  readonly #options: Pick<BindingFlow, 'threads' | 'policy' | 'seed' | 'sliceMs'>
  readonly #stallTimeout: number
  readonly #blocks = new Map<NativeBlock, BoundBlock>()
  readonly #links: BindingFlow['links'] = []
  #run: FlowRun | undefined

  /** @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT` */
  constructor(shm: ShmManager, options: SchedulerOptions = {}) {
    super()
    // A manager of another copy of this package is one, too.
    if (typeof (shm as Partial<ShmManager> | undefined)?.portQueue !== 'function') {
      throw invalidArgument('the manager of a scheduler', 'a ShmManager', shm)
    }
    this.#shm = shm
    this.#options = bindScheduler(checkOptions('the scheduler', options, SCHEDULER_OPTIONS))
    this.#stallTimeout = checkStallTimeout(options)
  }

  /** Whether it has been started. */
  get started(): boolean {
    return this.#run !== undefined
  }

  /**
   * Adds a block, and returns it.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, also when the block is in a scheduler, or another one has that name
   */
  add<B extends NativeBlock>(block: B, options: BlockOptions = {}): B {
    if (!(block instanceof NativeBlock)) throw notOurs('what is added', 'a native block', block)
    this.#checkNotStarted(`block "${block.name}" cannot be added`)
    const { name = this.#newName(block) } = checkOptions(`block "${block.name}"`, options, BLOCK_OPTIONS)
    const bound = bindBlock(name, options)
    const { onError } = options
    if (typeof onError === 'object' && onError.deadLetters !== undefined) {
      this.#checkDomain(`block "${name}"`, 'moves to', onError.deadLetters)
    }
    if (this.#names().includes(name)) {
      throw misuse(`two blocks of one scheduler cannot both have the name "${name}"`)
    }
    block.join(this, name)
    this.#blocks.set(block, { ...bound, kind: block.kind, settings: block.settings })
    return block
  }

  /**
   * Links an output to an input, of blocks that have been added. An output may be linked to several inputs, each of which gets every
   * message, and several outputs to one input.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`
   */
  link<T>(from: OutputPort<T>, to: InputPort<T>, options: LinkOptions = {}): this {
    if (!(from instanceof OutputPort)) throw notOurs('the beginning of a link', 'an output of a block', from)
    if (!(to instanceof InputPort)) throw notOurs('the end of a link', 'an input of a block', to)
    const name = `${from.label} → ${to.label}`
    this.#checkNotStarted(`link ${name} cannot be added`)
    const ends = { from: this.#port(from), to: this.#port(to) }
    if (this.#links.some((link) => isSame(link.from, ends.from) && isSame(link.to, ends.to))) {
      throw misuse(`${from.label} and ${to.label} are linked already`)
    }
    this.#links.push({ ...ends, ...bindLink(name, checkOptions(`link ${name}`, options, LINK_OPTIONS)) })
    return this
  }

  /**
   * Runs the blocks until all of them have ended. Keeps the process alive until then.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`: a port that is linked to nothing, no blocks, or it has been started
   * before; the first failure of a block, which it names; `_STALLED`: the blocks wait for each other; `_CLOSED`: the manager has been
   * closed; and as `ShmManager.open`
   */
  async run(): Promise<Report> {
    this.#checkNotStarted('it cannot be run again')
    const isSource = [...this.#blocks.keys()].map((block) => block.inputs.length === 0)
    this.#run = new FlowRun(this.#shm.session, this.#flow(), isSource, this.#stallTimeout, this)
    return this.#run.ended
  }

  /**
   * Sources end, everything that is under way arrives, then the blocks end; queues that inputs are connected to are emptied. Resolves when
   * they have.
   * @throws `MillraceError` `ERR_MILLRACE_TIMEOUT`: then everything ends as by {@link Scheduler.stop}, and the message says what was
   * waited for and how much is lost; `_STALLED`: a block has not returned from its work for {@link SchedulerOptions.stallTimeout}, which the
   * message names: the others end; and as {@link Scheduler.run}
   */
  async drain(options: EndOptions = {}): Promise<Report> {
    const timeout = checkTimeout('timeout', checkOptions('drain', options, END_OPTIONS).timeout)
    return this.#running('drained').drain(timeout, STOP_TIMEOUT_MS)
  }

  /**
   * Every block ends after the work it is in; resolves when they have. What is under way goes back to the queues that deliver again, and is
   * lost otherwise. The default of `timeout` is 10 000.
   * @throws `MillraceError` `ERR_MILLRACE_TIMEOUT`, or `_STALLED` as by {@link Scheduler.drain}: a block does not return from its work, which
   * the message names; and as {@link Scheduler.run}
   */
  async stop(options: EndOptions = {}): Promise<Report> {
    const { timeout = STOP_TIMEOUT_MS } = checkOptions('stop', options, END_OPTIONS)
    return this.#running('stopped').stop(checkTimeout('timeout', timeout))
  }

  /** Runs no block any more, until {@link Scheduler.resume}, or until it is to drain or stop. */
  pause(): void {
    this.#running('paused').pause()
  }

  /** Runs them again. */
  resume(): void {
    this.#running('resumed').resume()
  }

  /** What has been counted so far. Of a block that is in its work for longer than 20 ms: what had been counted when it was last asked. */
  stats(): Report {
    return this.#run?.report() ?? { blocks: this.#names().map(notStarted), links: [] }
  }

  /** @internal Calls of work that have taken longer than so many ms so far. */
  stalls(longerThan: number): Stall[] {
    return this.#run?.stalls(longerThan) ?? []
  }

  /** @internal */
  statsOf(name: string): BlockStats | undefined {
    return this.#run?.report().blocks.find((block) => block.name === name)
  }

  /** Stops it, if it runs. What its blocks failed of, {@link Scheduler.run} says. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#run?.stop(STOP_TIMEOUT_MS)
    } catch (error) {
      if (this.#run?.hasEnded !== true) throw error
    }
  }

  /** What the addon is to run. */
  #flow(): BindingFlow {
    const blocks = [...this.#blocks.keys()]
    const connections = (ports: (InputPort<never> | OutputPort)[]) =>
      ports.flatMap((port) =>
        port.queues.map((queue) => {
          this.#checkDomain(port.label, 'is connected to', queue)
          return { at: this.#port(port), queue: queue.name, only: queue.only === true }
        }),
      )
    return {
      ...this.#options,
      blocks: [...this.#blocks.values()],
      links: this.#links,
      inputs: connections(blocks.flatMap((block) => block.inputs)),
      outputs: connections(blocks.flatMap((block) => block.outputs)),
    }
  }

  /** @throws unless `queue`, which `what` does something with, is one of our domain. */
  #checkDomain(what: string, does: string, queue: Pick<OuterQueue, 'name'>): void {
    const { name, session } = checkQueue(`the queue that ${what} ${does}`, queue)
    const directories = [this.#shm.session, session].map((one) => one.call((open) => open.directory))
    if (directories[0] === directories[1]) return
    const domains = `domain "${session.domain}", and its scheduler works in domain "${this.#shm.domain}"`
    throw misuse(`${what} ${does} queue "${name}" of ${domains}`)
  }

  /** A port by the number of its block. */
  #port(port: InputPort<never> | OutputPort): BoundPort {
    const block = [...this.#blocks.keys()].indexOf(port.owner as NativeBlock)
    if (block < 0) throw misuse(`block "${port.owner.name}" of port ${port.label} has not been added to this scheduler`)
    return { block, port: port.name }
  }

  #names(): string[] {
    return [...this.#blocks.values()].map(({ name }) => name)
  }

  #newName(block: NativeBlock): string {
    const names = this.#names()
    for (let number = 1; ; number++) {
      const name = `${block.constructor.name}${number}`
      if (!names.includes(name)) return name
    }
  }

  #running(what: string): FlowRun {
    if (this.#run === undefined) throw misuse(`the scheduler cannot be ${what}: it has not been started`)
    return this.#run
  }

  #checkNotStarted(what: string): void {
    if (this.#run !== undefined) throw misuse(`the scheduler has been started, ${what}: make another one`)
  }
}

function isSame(one: BoundPort, other: BoundPort): boolean {
  return one.block === other.block && one.port === other.port
}
