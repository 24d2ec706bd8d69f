import type { OptionNames } from '../check.js'
import { checkInteger, checkName, checkObject, checkOptions, checkSignal } from '../check.js'
import type { ShmManager } from '../domain/manager.js'
import { misuse } from '../errors.js'
import { BATCH_MAX } from '../native/generated/block.js'
import type { Block, BlockHost } from './block/block.js'
import { notOurs } from './block/block.js'
import { checkOnError, checkReplicas } from './js/by-reference.js'
import type { ChildOptions } from './process/child-options.js'
import { CHILD_OPTIONS } from './process/child-options.js'
import type { Clock } from './block/clock.js'
import { realClock } from './block/clock.js'
import { Run } from './flow-run.js'
import { buildFlow, processOptions } from './graph/build.js'
import { checkFlow } from './graph/check.js'
import type { FlowData, ProcessData } from './graph/data.js'
import { FLOW_VERSION } from './graph/data.js'
import { describeBlock, describeLink, describeProcess, describeScheduler } from './graph/describe.js'
import type { ModuleOptions } from './graph/import-block.js'
import { soundFlow } from './graph/validate.js'
import type { Group, GroupHost, UseOptions } from './group.js'
import { GroupNames, nameAmong } from './group.js'
import { JsBlock } from './js/js-block.js'
import { linkFault } from './wiring/link-rules.js'
import type { AddedBlock, WiringHost } from './wiring/links.js'
import { NativeBlock } from './native/native-block.js'
import type { FlowBlockOptions, FlowLinkOptions, SchedulerOptions, Taken } from './block/options.js'
import { FLOW_BLOCK_OPTIONS, SCHEDULER_OPTIONS } from './block/options.js'
import { bindBlock, checkFlowLink, checkStallTimeout } from './block/options.js'
import { InputPort, OutputPort } from './block/port.js'
import { placeHere, serve, tellOfQueue } from './wiring/place.js'
import type { OptionsOfPlaces, StartedPlace } from './wiring/placement.js'
import { checkPlaces, FlowProcesses } from './wiring/placement.js'
import type { Place } from './wiring/places.js'
import { Places } from './wiring/places.js'
import { totalOf } from './js/replica-stats.js'
import { Scheduler } from './native/scheduler.js'
import type { BlockStats } from './block/stats.js'
import type { FlowLink } from './wiring/wiring.js'
import { wire } from './wiring/wiring.js'
import type { WorkerOptions } from './process/worker-thread.js'
import { WORKER_OPTIONS } from './process/worker-thread.js'

/** Options of {@link Flow.start}. */
export interface StartOptions {
  /** Stops the flow. */
  signal?: AbortSignal
  /**
   * How its other processes are started, by the names that blocks give them. Each runs this program again (`module`, `args`), and in it
   * `start()` of the same flow, which runs the blocks of that process only. Default: as {@link Supervisor.start}.
   */
  processes?: Readonly<Record<string, Partial<ChildOptions>>>
  /** How its worker threads are started, by the names that blocks give them. Each runs this program again, too. */
  workers?: Readonly<Record<string, WorkerOptions>>
}

const START_OPTIONS: OptionNames<StartOptions> = { signal: true, processes: true, workers: true }

/**
 * Blocks, native and of JavaScript, and the links between them. Native blocks run on the threads of one {@link Scheduler}, those of
 * JavaScript on the event loop. Made by {@link flow}.
 */
export class Flow implements BlockHost, GroupHost {
  /** Its name, which the names of its queues begin with. */
  readonly name: string
  readonly #shm: ShmManager
  readonly #scheduler: Scheduler
  readonly #options: SchedulerOptions
  readonly #clock: Clock
  readonly #stallTimeout: number
  #processes: NonNullable<StartOptions['processes']> = {}
  readonly #blocks = new Map<string, AddedBlock>()
  readonly #links: FlowLink[] = []
  readonly #places = new Places()
  readonly #groups = new GroupNames()
  #run: Run | undefined
  #started = false

  /** @internal */
  constructor(name: string, shm: ShmManager, options: SchedulerOptions, clock = realClock) {
    this.name = checkName('flow', name)
    // Of what native blocks and others do the run tells.
    this.#scheduler = new Scheduler(shm, {
      ...checkOptions(`flow "${this.name}"`, options, SCHEDULER_OPTIONS),
      stallTimeout: Infinity,
    })
    this.#stallTimeout = checkStallTimeout(options)
    this.#options = options
    this.#shm = shm
    this.#clock = clock
  }

  /**
   * Makes a flow of data, or of its text as YAML or JSON. Blocks of JavaScript come from modules.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, with all that {@link validateFlow} finds
   */
  static async fromJSON(shm: ShmManager, data: FlowData | string, options: ModuleOptions = {}): Promise<Flow> {
    const { maxBytes } = shm.registry.snapshot()
    const sound = await soundFlow(data, { ...options, maxBytes })
    const made = new Flow(sound.data.name, shm, sound.data.scheduler ?? {})
    buildFlow(made, shm, sound)
    made.#processes = processOptions(sound.data.processes ?? {}, options.base)
    return made
  }

  /** It as plain data, safe for JSON. A block that a module has not made is there by its class only: {@link Flow.fromJSON} refuses it. */
  toJSON(): FlowData {
    const processes = Object.entries(this.#processes).map(([name, options]) => [name, describeProcess(options)])
    return {
      millrace: FLOW_VERSION,
      name: this.name,
      ...(Object.keys(this.#options).length > 0 && { scheduler: describeScheduler(this.#options) }),
      blocks: [...this.#blocks.values()].map(({ block, options }) => describeBlock(block, options)),
      links: this.#links.map(({ from, to, options }) => describeLink(from, to, options)),
      ...(processes.length > 0 && { processes: Object.fromEntries(processes) as Record<string, ProcessData> }),
    }
  }

  /** Which of its processes, or its worker threads, this one is; undefined: the process that starts the others. */
  get process(): string | undefined {
    const place = placeHere()
    return place?.flow === this.name ? place.process : undefined
  }

  /** Whether it has been started. */
  get started(): boolean {
    return this.#started
  }

  /**
   * Adds a block, and returns it. Its name is that of `options`, else its own, else that of its class and a number.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, also when the block is in a flow, or another one has that name
   */
  add<B extends Block>(block: B, options: FlowBlockOptions<Taken<B>> = {}): B {
    const isNative = block instanceof NativeBlock
    if (!isNative && !(block instanceof JsBlock)) throw notOurs('what is added', 'a block', block)
    this.#checkNotStarted(`block "${block.name}" cannot be added`)
    const { name = nameAmong(block, (taken) => this.#blocks.has(taken)) } = checkOptions(
      `block "${block.name}"`,
      options,
      FLOW_BLOCK_OPTIONS,
    )
    if (this.#blocks.has(name)) throw misuse(`two blocks of one flow cannot both have the name "${name}"`)
    this.#blocks.set(name, isNative ? this.#native(name, block, options) : this.#js(name, block, options))
    return block
  }

  /**
   * Adds the blocks and links of a group, by names such as `denoise1.gain`, and returns what that returns: its ports.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, `_INVALID_NAME`; what the group throws
   */
  use<P extends object, R>(used: Group<P, R>, parameters: P, options: UseOptions = {}): R {
    this.#checkNotStarted('a group cannot be added')
    return used.build(this, this.#groups.next(used, options), parameters)
  }

  /**
   * Links an output to an input, of blocks that have been added. An output may be linked to several inputs, each of which gets every
   * message, in the order in which they are sent; and several outputs to one input, where the messages of each are in order.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`
   */
  link<T>(from: OutputPort<T>, to: InputPort<T>, options: FlowLinkOptions = {}): this {
    if (!(from instanceof OutputPort)) throw notOurs('the beginning of a link', 'an output of a block', from)
    if (!(to instanceof InputPort)) throw notOurs('the end of a link', 'an input of a block', to)
    const name = `${from.label} → ${to.label}`
    this.#checkNotStarted(`link ${name} cannot be added`)
    for (const port of [from, to] as const) {
      if (this.#blocks.get(port.owner.name)?.block === port.owner) continue
      throw misuse(`block "${port.owner.name}" of port ${port.label} has not been added to this flow`)
    }
    checkFlowLink(name, options)
    const fault = linkFault(this.#links, { from, to, options })
    if (fault !== undefined) throw misuse(fault)
    this.#links.push({ from, to, options })
    return this
  }

  /**
   * Makes the queues of the links, and starts the blocks. The flow keeps the process alive until its blocks have ended.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`: with all that is wrong with it, as {@link validateFlow} finds it; no blocks, it has been
   * started before, or a flow of that name runs in the domain; `_OPTIONS_MISMATCH`: a flow of that name that was killed has left messages of another type; and as `ShmManager.portQueue` and {@link Scheduler.run}
   */
  async start(options: StartOptions = {}): Promise<Run> {
    const { signal, processes = this.#processes, workers = {} } = checkOptions('start', options, START_OPTIONS)
    checkSignal(signal)?.throwIfAborted()
    this.#checkNotStarted('it cannot be started again')
    if (this.#blocks.size === 0) throw misuse(`flow "${this.name}" has no blocks`)
    const others = this.#othersOf({ process: processes, worker: workers })
    checkPlaces(others)
    const blocks = [...this.#blocks.values()]
    const { maxBytes } = this.#shm.registry.snapshot()
    const placed = blocks.map((added) => ({ ...added, isDivided: !added.native && added.partitionBy !== undefined }))
    checkFlow({ name: this.name, blocks: placed, links: this.#links, maxBytes })
    const wired = wire(this.name, this.#wiringHost(), blocks, this.#links)
    this.#started = true
    this.#processes = processes
    try {
      const native = wired.hasNative ? this.#scheduler.run() : undefined
      // What it could not be started for.
      if (native !== undefined && !this.#scheduler.started) await native
      const fail = (error: unknown) => this.#run?.fail(error)
      const started = { flow: this.name, shm: this.#shm, places: others, fail, ...wired }
      const processesOfFlow = others.size > 0 ? new FlowProcesses(started) : undefined
      const sources = blocks.filter(({ block }) => block.inputs.length === 0).flatMap(namesOf)
      const parts = {
        sources,
        name: this.name,
        stallTimeout: this.#stallTimeout,
        shm: this.#shm,
        clock: this.#clock,
        scheduler: this.#scheduler,
        native,
        processes: processesOfFlow,
        ...wired,
      }
      this.#run = new Run(parts, signal)
      if (placeHere() !== undefined) serve(this.#run)
    } catch (error) {
      wired.queues.abandon()
      throw error
    }
    return this.#run
  }

  /** @internal */
  statsOf(name: string): BlockStats | undefined {
    const { names } = this.#blocks.get(name)!
    const counted = this.#run?.stats().blocks.filter((block) => names.includes(block.name)) ?? []
    return names[0] === name || counted.length === 0 ? counted[0] : totalOf(name, counted)
  }

  #native(name: string, block: NativeBlock, options: FlowBlockOptions): AddedBlock {
    const { process, worker, replicas, partitionBy, batch, ...others } = options
    const refused = Object.entries({ worker, replicas, partitionBy, batch }).find(
      ([, value]) => value !== undefined,
    )?.[0]
    if (refused !== undefined) throw misuse(`block "${name}" is native: "${refused}" is for blocks of JavaScript`)
    const [place] = this.#places.add(name, { ...(process !== undefined && { process }) })
    if (this.#isHere(place)) this.#scheduler.add(block, { ...others, name })
    else block.join(this, name)
    return { block, native: true, names: [name], places: [place], options }
  }

  #js(name: string, block: JsBlock, options: FlowBlockOptions): AddedBlock {
    const { replicas, partitionBy } = options
    const { batch = replicas === undefined || partitionBy !== undefined ? BATCH_MAX : 1 } = options
    const { retries, backoffMs, action, deadLetters } = bindBlock(name, options)
    if (retries > 0 || action !== 0) checkOnError(name, block, deadLetters)
    checkInteger(`batch of block "${name}"`, batch, 1, BATCH_MAX)
    checkReplicas(name, block, options)
    const places = this.#places.add(name, options)
    block.join(this, name)
    const onError = { retries, backoffMs, skips: action !== 0, deadLetters }
    const names = replicas === undefined ? [name] : places.map((_, at) => `${name}.${at}`)
    return { block, native: false, names, places, options, partitionBy, batch, ...onError }
  }

  #wiringHost(): WiringHost {
    const isHere = (place: Place) => this.#isHere(place)
    return { shm: this.#shm, scheduler: this.#scheduler, place: placeHere()?.process, isHere, tellOfQueue }
  }

  #isHere(process: Place): boolean {
    const place = placeHere()
    return place === undefined ? process === undefined : place.flow === this.name && place.process === process
  }

  /** What this process is to start, with its options. */
  #othersOf(options: OptionsOfPlaces): Map<string, StartedPlace> {
    const all = [...this.#blocks.values()]
    const names = new Set(all.flatMap(namesOf))
    for (const kind of ['process', 'worker'] as const) {
      const own = [...names].filter((name) => this.#places.kindOf(name) === kind)
      const groups = new Set(own.map((name) => this.#places.groupOf(name)))
      const unknown = Object.keys(checkObject(kind === 'process' ? 'processes' : 'workers', options[kind])).find(
        (group) => !groups.has(group),
      )
      if (unknown !== undefined) throw misuse(`no block of flow "${this.name}" is in ${kind} "${unknown}"`)
    }
    const started = (name: string): StartedPlace => {
      const [kind, group] = [this.#places.kindOf(name), this.#places.groupOf(name)]
      const blocks = all.filter((added) => namesOf(added).includes(name)).map(({ block }) => block.name)
      return kind === 'process'
        ? { kind, blocks, options: checkOptions(`process "${group}"`, options[kind][group] ?? {}, CHILD_OPTIONS) }
        : { kind, blocks, options: checkOptions(`worker "${group}"`, options[kind][group] ?? {}, WORKER_OPTIONS) }
    }
    return placeHere() === undefined ? new Map([...names].map((name) => [name, started(name)])) : new Map()
  }

  #checkNotStarted(what: string): void {
    if (this.#started) throw misuse(`flow "${this.name}" has been started, ${what}: make another one`)
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

/** The processes of a block, but for that of the flow. */
function namesOf({ places }: AddedBlock): string[] {
  return places.filter((place) => place !== undefined)
}
