import { EventEmitter } from 'node:events'
import type { OptionNames } from '../../check.js'
import { checkBoolean, checkOptions, checkSignal, checkText } from '../../check.js'
import type { ShmManager } from '../../domain/manager.js'
import type { RecoveryReport } from '../../domain/reports.js'
import { invalidArgument, MillraceError, misuse } from '../../errors.js'
import { onAbort } from '../../session/cancel.js'
import type { ParticipantStats } from '../../session/snapshot.js'
import { type CheckedOptions, type ChildOptions, checkChildOptions } from './child-options.js'
import type { Process, ProcessListener } from './child-process.js'
import { AdoptedProcess, OwnProcess } from './child-process.js'
import { EXIT_LOST } from './control.js'
import { type ChildState, SupervisedChild, type SupervisorEvents } from './supervised-child.js'
import type { WorkerOptions } from './worker-thread.js'
import { WorkerThread } from './worker-thread.js'

/** Options of a {@link Supervisor}. */
export interface SupervisorOptions {
  /** Stops it, as {@link Supervisor.stop}: `child().stopping`, so that it ends with its process. */
  signal?: AbortSignal
  /** Kills every child at once: `child().aborting`. */
  kill?: AbortSignal
  /** The domain that the children work in: to adopt children, and to know what is lost when one dies. Open until all are gone. */
  shm?: ShmManager
}

/** Options of {@link Supervisor.stop}. */
export interface StopOptions {
  /** Whether to reject when a child had to be killed. Default: false. */
  throwIfKilled?: boolean
}

const SUPERVISOR_OPTIONS: OptionNames<SupervisorOptions> = { signal: true, kill: true, shm: true }
const STOP_OPTIONS: OptionNames<StopOptions> = { throwIfKilled: true }

/** How a process ends that has failed, and lost no message. */
const EXIT_FAILED = 1

/**
 * Starts processes, watches them, and starts those again that end or hang. It tells them to end by signals, and they tell it how they are
 * by {@link child}; data goes by queues, which do not depend on it: it may be killed, and another one take over.
 */
export class Supervisor extends EventEmitter<SupervisorEvents> implements AsyncDisposable {
  readonly #children = new Map<string, SupervisedChild>()
  readonly #shm: ShmManager | undefined
  /** Every process that has been one of its children. */
  readonly #pids = new Set<number>()
  /** Messages that died with those. */
  #lostByDead = 0
  /** Messages that children had told of whose place others have taken. */
  #lostByReplaced = 0
  #listens = false
  readonly #offAborts: (() => void)[] = []
  #stopped: Promise<readonly ChildState[]> | undefined

  /** @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`; `_CLOSED`: `shm` is */
  constructor(options: SupervisorOptions = {}) {
    super()
    const { signal, kill, shm } = checkOptions('the supervisor', options, SUPERVISOR_OPTIONS)
    if (shm !== undefined && typeof (shm as Partial<ShmManager> | null)?.fsck !== 'function') {
      throw invalidArgument('shm', 'a ShmManager', shm)
    }
    this.#shm = shm
    const [stops, kills] = [checkSignal(signal), checkSignal(kill)]
    if (kills !== undefined) this.#offAborts.push(onAbort(kills, () => this.#kill()))
    if (stops !== undefined) this.#offAborts.push(onAbort(stops, () => void this.stop().catch(() => {})))
  }

  /** The state of each child, by its name, in the order of their starts. */
  get children(): Record<string, ChildState> {
    return Object.fromEntries([...this.#children].map(([name, one]) => [name, one.state]))
  }

  /**
   * Messages lost: those that children have told of, and with `shm` those that died with a child; exact when {@link Supervisor.ended} or
   * {@link Supervisor.stop} has resolved.
   */
  get lost(): number {
    const told = [...this.#children.values()].reduce((sum, one) => sum + one.state.lost, 0)
    return told + this.#lostByReplaced + this.#lostByDead
  }

  /** What this process should end with: 3 when messages have been lost; 1 when a child has failed, or was killed; else 0. */
  get exitCode(): number {
    if (this.lost > 0) return EXIT_LOST
    return this.failed.length > 0 ? EXIT_FAILED : 0
  }

  /** Children that are over and have failed, or were killed. */
  get failed(): ChildState[] {
    return [...this.#children.values()].filter((one) => one.hasFailed).map((one) => one.state)
  }

  /**
   * Starts a child. It is `starting` until it calls `child().ready()`. What becomes of it the events tell.
   * @param name not that of a child that has not ended
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`; `_CLOSED`: the supervisor is stopped
   */
  start(name: string, options: ChildOptions): void {
    this.#add(name, options).start()
  }

  /** @internal As {@link Supervisor.start}, in a thread of this process, which is not started again. */
  startThread(name: string, { resourceLimits = {}, ...options }: WorkerOptions & Pick<ChildOptions, 'module'>): void {
    const make = (checked: CheckedOptions, listener: ProcessListener) =>
      new WorkerThread(name, checked, resourceLimits, listener)
    this.#add(name, { ...options, restart: 'never' }, make).start()
  }

  /**
   * Takes over a child that a supervisor now dead has started `detached`: the process whose participant has that name in the domain,
   * `name` of `ShmManager.open`. Until it ends, `stallTimeout` does not count. How it ends cannot be known, so its end is a failure.
   * @returns whether there is one; otherwise start it
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`: also when several processes have participants of that name, or without `shm`;
   * `_CLOSED`
   */
  adopt(name: string, options: ChildOptions): boolean {
    const shm = this.#shm
    if (shm === undefined)
      throw misuse(`child "${name}" cannot be adopted: the supervisor has no domain, give it "shm"`)
    const there = shm.registry.snapshot().participants.filter((one) => one.name === name)
    const pids = [...new Set(there.map(({ pid }) => pid))]
    if (pids.length > 1)
      throw misuse(`child "${name}" cannot be adopted: processes ${pids.join(', ')} have participants of that name`)
    const [participant] = there
    if (participant === undefined) return false
    this.#checkForeign(name, participant)
    this.#add(name, options).adopt((listener) => this.#own(new AdoptedProcess(shm, participant, listener)))
    return true
  }

  /** Resolves with the states of all children when none is left and none will be started again. */
  async ended(): Promise<readonly ChildState[]> {
    for (;;) {
      const children = [...this.#children.values()]
      await Promise.all(children.map((one) => one.over))
      if ([...this.#children.values()].every((one) => one.isOver)) break
    }
    await this.#countDead()
    return Object.values(this.children)
  }

  /**
   * Nothing is started again; every child is asked to end (`SIGTERM`), and killed when its `stopTimeout` is over. Resolves with the states
   * of all when all are gone; nothing keeps the process alive then. Idempotent.
   * @throws `MillraceError` `ERR_MILLRACE_TIMEOUT`: with `throwIfKilled`, which children had to be killed; what {@link ShmManager.fsck}
   * and {@link ShmManager.evict} throw
   */
  async stop(options: StopOptions = {}): Promise<readonly ChildState[]> {
    const { throwIfKilled = false } = checkOptions('stop', options, STOP_OPTIONS)
    checkBoolean('throwIfKilled', throwIfKilled)
    this.#stopped ??= this.#stop()
    const states = await this.#stopped
    const killed = states.filter(({ lastExit }) => lastExit?.timeout === 'stop').map(({ name }) => `"${name}"`)
    if (!throwIfKilled || killed.length === 0) return states
    const message = `children did not end within their stopTimeout and were killed: ${killed.join(', ')}`
    throw new MillraceError('ERR_MILLRACE_TIMEOUT', message)
  }

  /** The same as {@link Supervisor.stop}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** @internal As {@link Supervisor.stop}, of one child. */
  stopOne(name: string): void {
    this.#children.get(name)?.stop()
  }

  async #stop(): Promise<readonly ChildState[]> {
    for (const one of this.#children.values()) one.stop()
    try {
      return await this.ended()
    } finally {
      for (const off of this.#offAborts) off()
    }
  }

  #kill(): void {
    void this.stop().catch(() => {})
    for (const one of this.#children.values()) one.kill()
  }

  #add(
    name: string,
    options: ChildOptions,
    make = (checked: CheckedOptions, listener: ProcessListener): Process => new OwnProcess(name, checked, listener),
  ): SupervisedChild {
    checkText('the name of a child', name)
    const checked = checkChildOptions(name, options)
    if (this.#stopped !== undefined) {
      throw new MillraceError('ERR_MILLRACE_CLOSED', `child "${name}" cannot be started: the supervisor is stopped`)
    }
    if (this.#children.get(name)?.isOver === false)
      throw misuse(`child "${name}" has been started already, and has not ended`)
    this.#lostByReplaced += this.#children.get(name)?.state.lost ?? 0
    this.#listen()
    const added = new SupervisedChild(
      name,
      checked,
      (listener) => this.#own(make(checked, listener)),
      (event, ...args) => this.#tell(event, args),
    )
    this.#children.set(name, added)
    return added
  }

  #checkForeign(name: string, { pid }: ParticipantStats): void {
    if (pid === process.pid)
      throw misuse(`child "${name}" cannot be adopted: the participant of that name is of this process`)
  }

  /** After what is under way: whatever a listener does, the supervisor has done its own. */
  #tell<E extends keyof SupervisorEvents>(event: E, args: SupervisorEvents[E]): void {
    for (const listener of this.rawListeners(event)) queueMicrotask(() => void Reflect.apply(listener, this, args))
  }

  #own<P extends Process>(process: P): P {
    if (process.pid !== undefined) this.#pids.add(process.pid)
    return process
  }

  /** Hears of deaths in the domain, those of children among them. */
  #listen(): void {
    if (this.#listens || this.#shm === undefined) return
    this.#shm.on('participant-lost', this.#onLost)
    this.#listens = true
  }

  /** All children are gone: the dead are recovered, and what they have lost is counted. */
  async #countDead(): Promise<void> {
    if (!this.#listens || this.#shm?.closed !== false) return
    await this.#shm.fsck()
    this.#shm.tellNews()
    // Listeners are called in microtasks, before this one.
    await Promise.resolve()
    this.#shm.off('participant-lost', this.#onLost)
    this.#listens = false
  }

  readonly #onLost = ({ pid, lost }: RecoveryReport): void => {
    if (this.#pids.has(pid)) this.#lostByDead += lost
  }
}
