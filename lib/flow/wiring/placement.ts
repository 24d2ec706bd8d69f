import { MillraceError } from '../../errors.js'
import type { ShmManager } from '../../domain/manager.js'
import type { ChildOptions } from '../process/child-options.js'
import { checkChildOptions } from '../process/child-options.js'
import type { ToldOfQueue } from '../process/control.js'
import type { Crossing } from './crossing.js'
import type { PlaceHere } from './place.js'
import { PLACE_VARIABLE } from './place.js'
import type { ChildState } from '../process/supervised-child.js'
import { Supervisor } from '../process/supervisor.js'
import type { Wired } from './wiring.js'
import type { WorkerOptions } from '../process/worker-thread.js'

/** Options of processes and worker threads, by what blocks call them. */
export interface OptionsOfPlaces {
  readonly process: Readonly<Record<string, Partial<ChildOptions>>>
  readonly worker: Readonly<Record<string, WorkerOptions>>
}

/** A process, or a worker thread, that is to be started. */
export type StartedPlace = { readonly blocks: readonly string[] } & (
  | { readonly kind: 'process'; readonly options: Partial<ChildOptions> }
  | { readonly kind: 'worker'; readonly options: WorkerOptions }
)

/** What processes of a flow are started with. */
export interface ProcessesParts extends Pick<Wired, 'crossings' | 'queues' | 'logs'> {
  readonly flow: string
  readonly shm: ShmManager
  readonly places: ReadonlyMap<string, StartedPlace>
  /** The flow is to end: a process that it cannot do without has died. */
  readonly fail: (error: unknown) => void
}

/** How a place is started: by this program, unless its options say otherwise. */
function startOf({ options }: StartedPlace) {
  return { module: process.argv[1]!, args: process.argv.slice(2), ...options }
}

/** @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, which names the first of `places` that cannot be started as its options say */
export function checkPlaces(places: ReadonlyMap<string, StartedPlace>): void {
  for (const [name, place] of places) {
    const { resourceLimits: _, ...options }: WorkerOptions & ChildOptions = startOf(place)
    checkChildOptions(name, options)
  }
}

/** The processes and worker threads that a flow has started: each runs this program, and in it the blocks that are its own. */
export class FlowProcesses {
  readonly #supervisor: Supervisor
  readonly #parts: ProcessesParts

  constructor(parts: ProcessesParts) {
    this.#parts = parts
    this.#supervisor = new Supervisor({ shm: parts.shm })
    this.#supervisor.on('queue', ({ name }, told) => this.#told(name, told))
    this.#supervisor.on('exited', (state) => this.#exited(state))
    this.#supervisor.on('started', ({ name }) => {
      for (const crossing of parts.crossings) crossing.back(name)
    })
    this.#supervisor.on('output', ({ name }, line) => {
      for (const block of parts.logs) block.hear({ from: name, ...line, time: Date.now() })
    })
    for (const [name, place] of parts.places) this.#start(name, place)
  }

  /** Their states. */
  get states(): Record<string, ChildState> {
    return this.#supervisor.children
  }

  /** Messages that they have told to be lost, and those that died with them. */
  get lost(): number {
    return this.#supervisor.lost
  }

  /** Messages that links have dropped, by the names of their queues. */
  get dropped(): Record<string, number> {
    const dropping = this.#parts.crossings.filter(({ onPeerLost }) => onPeerLost === 'drop')
    return Object.fromEntries(dropping.map(({ queue, dropped }) => [queue.name, dropped]))
  }

  /** Asks one to end: it is not started again. */
  stop(name: string): void {
    const waits = this.#supervisor.children[name]?.phase === 'waiting'
    this.#supervisor.stopOne(name)
    // It is gone, which has been told, and is not awaited any more.
    if (waits) for (const crossing of this.#parts.crossings) crossing.ended(name)
  }

  /** Asks all to end. */
  async stopAll(): Promise<void> {
    await this.#supervisor.stop()
  }

  /** Resolves when all have ended. @throws `MillraceError` `ERR_MILLRACE_BLOCK_FAILED`, which names those that failed */
  async ended(): Promise<void> {
    await this.#supervisor.ended()
    for (const block of this.#parts.logs) block.over()
    const { failed } = this.#supervisor
    if (failed.length === 0) return
    const message = `flow "${this.#parts.flow}" has lost ${failed.map((state) => this.#show(state)).join(', ')}`
    throw new MillraceError('ERR_MILLRACE_BLOCK_FAILED', message)
  }

  #start(name: string, started: StartedPlace): void {
    const { kind } = started
    const place: PlaceHere = { flow: this.#parts.flow, process: name }
    const env = { ...started.options.env, [PLACE_VARIABLE]: JSON.stringify(place) }
    const stdio = this.#parts.logs.length > 0 ? 'pipe' : 'inherit'
    const options = { stdio, ...startOf(started), env } as const
    if (kind === 'process') this.#supervisor.start(name, options)
    else this.#supervisor.startThread(name, options)
  }

  #told(name: string, { queue, event }: ToldOfQueue): void {
    const { queues, crossings } = this.#parts
    if (event === 'made') queues.adopt(queue)
    else crossings.find((crossing) => crossing.queue.name === queue)?.left(event, name)
  }

  #exited(state: ChildState): void {
    const { name, phase } = state
    const isOver = phase !== 'waiting'
    const hasDied = !isOver || this.#supervisor.failed.some((one) => one.name === name)
    for (const crossing of this.#parts.crossings) {
      if (hasDied && crossing.lost(name)) this.#lost(crossing, state)
      if (isOver) crossing.ended(name)
      else crossing.restarts(name)
    }
  }

  /** The last process has died that took from a queue. */
  #lost(crossing: Crossing, state: ChildState): void {
    const { label, onPeerLost } = crossing
    if (onPeerLost === 'drop') crossing.drop().catch(this.#parts.fail)
    if (onPeerLost !== 'fail') return
    const message = `flow "${this.#parts.flow}" has lost ${this.#show(state)}, to which ${label} leads`
    this.#parts.fail(new MillraceError('ERR_MILLRACE_BLOCK_FAILED', message))
    this.stop(state.name)
  }

  /** What has ended, and how. */
  #show({ name, lastExit }: ChildState): string {
    const { code, signal, error, timeout } = lastExit!
    const { kind, blocks } = this.#parts.places.get(name)!
    const how = timeout === null ? (error ?? signal ?? `exit code ${code}`) : `killed by its ${timeout}Timeout`
    return `${kind} "${name}" with ${blocks.map((block) => `block "${block}"`).join(', ')} (${how})`
  }
}
