import { checkName, checkObject, checkSignal, checkText } from '../check.js'
import type { ShmManager } from '../domain/manager.js'
import { invalidArgument, misuse } from '../errors.js'
import { onAbort } from '../session/cancel.js'
import type { Block, BlockHost } from './block.js'
import { child } from './child.js'
import type { ChildOptions } from './child-options.js'
import { Run } from './flow-run.js'
import { JsBlock } from './js-block.js'
import { JsInput, JsOutput } from './js-port.js'
import { NativeBlock } from './native-block.js'
import type { FlowBlockOptions, FlowLinkOptions, SchedulerOptions } from './options.js'
import { bindBlock, bindLink } from './options.js'
import { InputPort, OutputPort } from './port.js'
import { placeHere, startProcesses } from './placement.js'
import { Scheduler } from './scheduler.js'
import type { BlockStats } from './stats.js'
import { mismatch } from './type.js'
import type { AddedBlock, FlowLink } from './wiring.js'
import { wire } from './wiring.js'

/** Options of {@link Flow.start}. */
export interface StartOptions {
  /** Stops the flow. */
  signal?: AbortSignal
  /**
   * How its other processes are started, by the names that blocks give them. Each runs this program again (`module`, `args`), and in it
   * `start()` of the same flow, which runs the blocks of that process only. Default: as {@link Supervisor.start}.
   */
  processes?: Readonly<Record<string, Partial<ChildOptions>>>
}

/**
 * Blocks, native and of JavaScript, and the links between them. Native blocks run on the threads of one {@link Scheduler}, those of
 * JavaScript on the event loop. Made by {@link flow}.
 */
export class Flow implements BlockHost {
  /** Its name, which the names of its queues begin with. */
  readonly name: string
  readonly #shm: ShmManager
  readonly #scheduler: Scheduler
  readonly #blocks = new Map<string, AddedBlock>()
  readonly #links: FlowLink[] = []
  #run: Run | undefined
  #started = false

  /** @internal */
  constructor(name: string, shm: ShmManager, options: SchedulerOptions) {
    this.name = checkName('flow', name)
    this.#scheduler = new Scheduler(shm, options)
    this.#shm = shm
  }

  /** Whether it has been started. */
  get started(): boolean {
    return this.#started
  }

  /**
   * Adds a block, and returns it. Its name is that of `options`, else its own, else that of its class and a number.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, also when the block is in a flow, or another one has that name
   */
  add<B extends Block>(block: B, options: FlowBlockOptions = {}): B {
    const isNative = block instanceof NativeBlock
    if (!isNative && !(block instanceof JsBlock)) throw invalidArgument('what is added', 'a block', block)
    this.#checkNotStarted(`block '${block.name}' cannot be added`)
    const { name = this.#nameOf(block), process } = checkObject(`options of block '${block.name}'`, options)
    if (this.#blocks.has(name)) throw misuse(`two blocks of one flow cannot both have the name '${name}'`)
    if (process !== undefined) checkText(`process of block '${name}'`, process)
    if (isNative) {
      if (this.#isHere(process)) this.#scheduler.add(block, { ...options, name })
      else block.join(this, name)
      this.#blocks.set(name, { block, native: true, process })
    } else {
      const { retries, backoffMs, action, deadLetters } = bindBlock(name, options)
      block.join(this, name)
      this.#blocks.set(name, { block, native: false, process, retries, backoffMs, skips: action !== 0, deadLetters })
    }
    return block
  }

  /**
   * Links an output to an input, of blocks that have been added. An output may be linked to several inputs, each of which gets every
   * message, in the order in which they are sent; and several outputs to one input, where the messages of each are in order.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`
   */
  link<T>(from: OutputPort<T>, to: InputPort<T>, options: FlowLinkOptions = {}): this {
    if (!(from instanceof OutputPort)) throw invalidArgument('the beginning of a link', 'an output of a block', from)
    if (!(to instanceof InputPort)) throw invalidArgument('the end of a link', 'an input of a block', to)
    const name = `${from.label} → ${to.label}`
    this.#checkNotStarted(`link ${name} cannot be added`)
    for (const port of [from, to] as const) {
      if (this.#blocks.get(port.owner.name)?.block === port.owner) continue
      throw misuse(`block '${port.owner.name}' of port ${port.label} has not been added to this flow`)
    }
    if (this.#links.some((link) => link.from === from && link.to === to)) {
      throw misuse(`${from.label} and ${to.label} are linked already`)
    }
    if (to.queues.length > 0) throw misuse(`${to.label} is connected to queue '${to.queues[0]!.name}' already`)
    checkTypes(from, to)
    bindLink(name, options)
    if (options.name !== undefined) checkName(`queue of link ${name}`, options.name)
    this.#links.push({ from, to, options })
    return this
  }

  /**
   * Makes the queues of the links, and starts the blocks. The flow keeps the process alive until its blocks have ended.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`: a port that is linked to nothing, no blocks, it has been started before, or a
   * flow of that name runs in the domain; and as `ShmManager.portQueue` and {@link Scheduler.run}
   */
  async start(options: StartOptions = {}): Promise<Run> {
    const { signal, processes = {} } = checkObject('options of start', options)
    checkSignal(signal)?.throwIfAborted()
    this.#checkNotStarted('it cannot be started again')
    if (this.#blocks.size === 0) throw misuse(`flow '${this.name}' has no blocks`)
    const others = this.#otherProcesses(processes)
    const blocks = [...this.#blocks.values()]
    const wired = wire(this.name, this.#shm, this.#scheduler, blocks, this.#links, (process) => this.#isHere(process))
    this.#started = true
    try {
      const native = wired.hasNative ? this.#scheduler.run() : undefined
      // What it could not be started for.
      if (native !== undefined && !this.#scheduler.started) await native
      const supervisor = others.size > 0 ? startProcesses(this.name, this.#shm, others, wired.crossings) : undefined
      const sources = blocks.flatMap(({ block, process }) =>
        block.inputs.length === 0 && process !== undefined ? [process] : [],
      )
      const parts = {
        sources,
        name: this.name,
        shm: this.#shm,
        scheduler: this.#scheduler,
        native,
        supervisor,
        ...wired,
      }
      this.#run = new Run(parts, signal)
      if (placeHere() !== undefined) this.#serve(this.#run)
    } catch (error) {
      for (const queue of wired.queues) queue.destroy()
      throw error
    }
    return this.#run
  }

  /** @internal */
  statsOf(name: string): BlockStats | undefined {
    return this.#run?.stats().blocks.find((block) => block.name === name)
  }

  #isHere(process: string | undefined): boolean {
    const place = placeHere()
    return place === undefined ? process === undefined : place.flow === this.name && place.process === process
  }

  /** Those that this process is to start, with their options. */
  #otherProcesses(options: Readonly<Record<string, Partial<ChildOptions>>>): Map<string, Partial<ChildOptions>> {
    const others = new Map<string, Partial<ChildOptions>>()
    for (const { process } of this.#blocks.values())
      if (process !== undefined) others.set(process, options[process] ?? {})
    const unknown = Object.keys(options).find((name) => !others.has(name))
    if (unknown !== undefined) throw misuse(`no block of flow '${this.name}' is in process '${unknown}'`)
    return placeHere() === undefined ? others : new Map()
  }

  /** This process is one that the flow has started: its supervisor says when it is to end. */
  #serve(run: Run): void {
    const me = child()
    onAbort(me.stopping, () => void run.drain().catch(() => {}))
    me.ready()
  }

  #nameOf(block: Block): string {
    const own = block.name
    if (own !== block.constructor.name) return own
    for (let number = 1; ; number++) if (!this.#blocks.has(`${own}${number}`)) return `${own}${number}`
  }

  #checkNotStarted(what: string): void {
    if (this.#started) throw misuse(`flow '${this.name}' has been started, ${what}: make another one`)
  }
}

/**
 * A flow without blocks.
 * @param name 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit; one flow of a name runs in a domain at a time
 * @param options those of the scheduler of its native blocks
 */
export function flow(name: string, shm: ShmManager, options: SchedulerOptions = {}): Flow {
  return new Flow(name, shm, options)
}

/** @throws if the two ports say what their messages are, and it is not the same. */
function checkTypes(from: OutputPort, to: InputPort<never>): void {
  if (!(from instanceof JsOutput) || !(to instanceof JsInput)) return
  const differs = mismatch(from.type, to.type)
  if (differs === undefined) return
  throw misuse(`${from.label} ${differs}, ${to.label} takes '${to.type.name}' (codec '${to.type.codec.name}')`)
}
