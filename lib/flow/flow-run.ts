import { EventEmitter } from 'node:events'
import { checkOptions, checkTimeout } from '../check.js'
import type { ShmManager } from '../domain/manager.js'
import { MillraceError } from '../errors.js'
import { onAbort } from '../session/cancel.js'
import type { Clock } from './block/clock.js'
import { linksOf } from './js/link-stats.js'
import type { Stall, StallEvents } from './block/stall-watch.js'
import { endsWithin, stallError, StallWatch } from './block/stall-watch.js'
import type { EndOptions, Scheduler } from './native/scheduler.js'
import { END_OPTIONS, STOP_TIMEOUT_MS } from './native/scheduler.js'
import type { Report } from './block/stats.js'
import type { FlowProcesses } from './wiring/placement.js'
import type { ChildState } from './process/supervised-child.js'
import type { Wired } from './wiring/wiring.js'

/** What a run is of. */
export interface RunParts extends Wired {
  readonly name: string
  /** In ms, or Infinity. */
  readonly stallTimeout: number
  readonly shm: ShmManager
  readonly clock: Clock
  readonly scheduler: Scheduler
  /** The end of the native blocks. */
  readonly native: Promise<Report> | undefined
  /** Those that it has started. */
  readonly processes: FlowProcesses | undefined
  /** Those of them that have sources. */
  readonly sources: readonly string[]
}

/** A flow that has been started. */
export class Run extends EventEmitter<StallEvents> implements AsyncDisposable {
  readonly #parts: RunParts
  readonly #ending = new AbortController()
  readonly #stopping = new AbortController()
  readonly #ended: Promise<Report>
  readonly #forget: () => void
  readonly #watch: StallWatch
  #failure: { readonly error: unknown } | undefined
  /** Somebody has been told how it ended. */
  #told = false
  #report: Report | undefined

  /** @internal */
  constructor(parts: RunParts, signal: AbortSignal | undefined) {
    super()
    this.#parts = parts
    this.#watch = new StallWatch(parts.stallTimeout, () => this.#stalls(), this)
    // Blocks that hand over objects wait for nothing that would.
    parts.shm.session.waits.ref()
    const lanes = parts.lanes.map((lane) => lane.run(this.#ending.signal, this.#stopping.signal, parts.clock))
    const others = parts.processes === undefined ? [] : [parts.processes.ended()]
    const all = [...lanes, ...(parts.native === undefined ? [] : [parts.native]), ...others]
    const ended = all.map((one) => Promise.resolve(one).catch((error: unknown) => this.fail(error)))
    const forget = [
      parts.shm.session.beforeClose(() => parts.queues.remove()),
      ...(signal === undefined ? [] : [onAbort(signal, () => this.#beginStop())]),
    ]
    this.#forget = () => forget.forEach((end) => end())
    this.#ended = Promise.all(ended).then(() => this.#end())
    // Who awaits `done`, drains, stops or disposes of it is told.
    this.#ended.catch(() => {})
  }

  /**
   * Resolves when all blocks have ended.
   * @throws `MillraceError` the first failure of a block, which it names; and as {@link Scheduler.run}
   */
  get done(): Promise<Report> {
    this.#told = true
    return this.#ended
  }

  /** @internal As {@link Run.done}, for somebody who does not look how it has ended. */
  get over(): Promise<unknown> {
    return this.#ended
  }

  /**
   * Sources end, everything that is under way arrives, then the blocks end; queues that inputs are connected to are emptied. Resolves when
   * they have.
   * @throws `MillraceError` `ERR_MILLRACE_TIMEOUT`: then everything ends as by {@link Run.stop}, and the message names the blocks that had
   * not ended; `_STALLED`: a block has not returned from its work for {@link SchedulerOptions.stallTimeout}, which the message names: the
   * others end; and as {@link Run.done}
   */
  async drain(options: EndOptions = {}): Promise<Report> {
    const timeout = checkTimeout('timeout', checkOptions('drain', options, END_OPTIONS).timeout)
    this.#beginDrain()
    const ended = await endsWithin(this.done, timeout, this.#watch)
    if (ended === true) return this.done
    if (ended !== false) {
      this.#beginStop()
      throw stallError(`flow "${this.#parts.name}" does not end and is stopped`, ended)
    }
    const waiting = this.#unfinished()
    await this.stop()
    const message = `flow "${this.#parts.name}" did not end within ${timeout} ms and was stopped, ${this.lost} messages were lost: ${waiting} had not ended`
    throw new MillraceError('ERR_MILLRACE_TIMEOUT', message)
  }

  /**
   * Every block ends after the work it is in; resolves when they have. What is under way goes back to the queues of others that deliver
   * again, and is lost otherwise. The default of `timeout` is 10 000.
   * @throws `MillraceError` `ERR_MILLRACE_TIMEOUT`, or `_STALLED` as by {@link Run.drain}: a block does not return from its work, which the
   * message names; and as {@link Run.done}
   */
  async stop(options: EndOptions = {}): Promise<Report> {
    const { timeout = STOP_TIMEOUT_MS } = checkOptions('stop', options, END_OPTIONS)
    const time = checkTimeout('timeout', timeout)
    this.#beginStop()
    const ended = await endsWithin(this.done, time, this.#watch)
    if (ended === true) return this.done
    if (ended !== false) throw stallError(`flow "${this.#parts.name}" does not end`, ended)
    const message = `blocks of flow "${this.#parts.name}" did not return from their work within ${time} ms: ${this.#unfinished()}`
    throw new MillraceError('ERR_MILLRACE_TIMEOUT', message)
  }

  /** Messages lost so far: by blocks in this process, by what its other processes have told, and with those of them that have died. */
  get lost(): number {
    const here = this.stats().blocks.reduce((sum, block) => sum + block.lost, 0)
    return here + (this.#parts.processes?.lost ?? 0)
  }

  /** The states of its other processes and worker threads, by their names. */
  get processes(): Record<string, ChildState> {
    return this.#parts.processes?.states ?? {}
  }

  /** Messages dropped by links with `onPeerLost: 'drop'`, by the names of their queues. */
  get dropped(): Record<string, number> {
    return this.#parts.processes?.dropped ?? {}
  }

  /**
   * What has been counted so far of the blocks in this process, native blocks first, and of the links that are queues and have an end here:
   * those between native blocks first.
   */
  stats(): Report {
    if (this.#report !== undefined) return this.#report
    const { scheduler, native, lanes, links: own } = this.#parts
    const { blocks, links } = native === undefined ? { blocks: [], links: [] } : scheduler.stats()
    return { blocks: [...blocks, ...lanes.map((lane) => lane.stats)], links: linksOf(links, own) }
  }

  /** Stops it, if it runs. @throws what {@link Run.done} would, unless somebody has been told */
  async [Symbol.asyncDispose](): Promise<void> {
    const told = this.#told
    try {
      await this.stop()
    } catch (error) {
      if (!told || this.#report === undefined) throw error
    }
  }

  /** @internal Whether a block here has not returned from its work for too long. */
  get isStalled(): boolean {
    return this.#watch.isStalled
  }

  /** @internal It is to end, and has failed with `error` unless it had before. */
  fail(error: unknown): void {
    const { shm } = this.#parts
    this.#failure ??= { error: shm.closed ? shm.session.closedFailure() : error }
    // Nobody gets what the others would go on with for ever.
    this.#beginDrain()
  }

  #beginDrain(): void {
    if (this.#ending.signal.aborted) return
    this.#ending.abort()
    if (this.#nativeRuns()) ignore(this.#parts.scheduler.drain())
    // Other processes end when nothing more comes, and may be restarted until then.
    for (const name of this.#parts.sources) this.#parts.processes?.stop(name)
  }

  #beginStop(): void {
    this.#ending.abort()
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort()
    if (this.#nativeRuns()) ignore(this.#parts.scheduler.stop({ timeout: Infinity }))
    if (this.#parts.processes !== undefined) ignore(this.#parts.processes.stopAll())
  }

  #nativeRuns(): boolean {
    return this.#parts.native !== undefined && !this.#parts.shm.closed && this.#report === undefined
  }

  #end(): Report {
    const report = this.stats()
    this.#report = report
    this.#forget()
    this.#watch.stop()
    if (!this.#parts.shm.closed) {
      this.#parts.queues.remove()
      this.#parts.shm.session.waits.unref()
    }
    if (this.#failure !== undefined) throw this.#failure.error
    return report
  }

  #stalls(): Stall[] {
    const { scheduler, native, lanes, stallTimeout, shm } = this.#parts
    const ofNative = native === undefined || shm.closed ? [] : scheduler.stalls(stallTimeout)
    const here = lanes.map((lane) => ({ block: lane.stats.name, working: lane.working }))
    return [...ofNative, ...here.filter(({ working }) => working > stallTimeout)]
  }

  /** Names of the blocks that have not ended. */
  #unfinished(): string {
    const blocks = this.stats().blocks.filter(({ state }) => state === 'running' || state === 'created')
    return blocks.map(({ name }) => `"${name}"`).join(', ')
  }
}

/** Its end is told by another promise. */
function ignore(end: Promise<unknown>): void {
  end.catch(() => {})
}
