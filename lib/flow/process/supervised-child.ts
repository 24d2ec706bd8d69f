import type { CheckedOptions } from './child-options.js'
import type { Ending, OutputLine, Process, ProcessListener } from './child-process.js'
import { PROGRESS_SHARE, type Told, type ToldOfQueue } from './control.js'
import { RestartPlan } from './restart-plan.js'
import { Watchdog } from './watchdog.js'

/**
 * `starting`: it has not called `ready()` yet; `running`; `waiting`: for its restart; `stopping`: it has been asked to end; `ended`: it
 * has, and is not started again; `gave-up`: it has failed too often.
 */
export type ChildPhase = 'starting' | 'running' | 'waiting' | 'stopping' | 'ended' | 'gave-up'

/** How a child has ended. */
export interface LastExit {
  /** Its exit code; null: it had none, or it is not known. */
  code: number | null
  /** The signal that ended it, or null. */
  signal: NodeJS.Signals | null
  /** Which timeout it had exceeded when the supervisor killed it; null: none. */
  timeout: 'start' | 'stall' | 'stop' | null
  /** Why it could not be started, or cannot be watched any more; null: it was. */
  error: string | null
  /** When, in ms since the Unix epoch. */
  atMs: number
}

/** What is known of a child: plain data, safe for JSON. */
export interface ChildState {
  /** Its name at the supervisor. */
  name: string
  /** What it does. */
  phase: ChildPhase
  /** Since when, in ms since the Unix epoch. */
  sinceMs: number
  /** Its process id; null: there is no process now. */
  pid: number | null
  /** Whether another supervisor had started the process. */
  adopted: boolean
  /** How often it has been restarted. */
  restarts: number
  /** Messages that it has told to be lost. */
  lost: number
  /** How it has ended last; null: it never has. */
  lastExit: LastExit | null
}

/** Events of a {@link Supervisor}. Each bears the state of the child at that time. */
export interface SupervisorEvents {
  /** It has called `ready()`. */
  started: [state: ChildState]
  /** It is gone. */
  exited: [state: ChildState]
  /** It will be started again, in `delay` ms. */
  restarting: [state: ChildState, delay: number]
  /** It has failed too often, and is not started again. */
  'gave-up': [state: ChildState]
  /** It has not called `progress()` for longer than `stallTimeout`, and is killed. */
  stalled: [state: ChildState]
  /** With `stdio: 'pipe'`: it has printed a line. All of them come before it has `exited`. */
  output: [state: ChildState, line: OutputLine]
  /** @internal What has become of a queue of its flow. */
  queue: [state: ChildState, told: ToldOfQueue]
}

/** @internal Makes the process of a child. */
export type MakeProcess = (listener: ProcessListener) => Process

/** @internal One child, over all of its processes. */
export class SupervisedChild {
  /** Resolves when it is gone, and not started again. */
  readonly over: Promise<void>
  readonly #name: string
  readonly #options: CheckedOptions
  readonly #restart: MakeProcess
  readonly #emit: <E extends keyof SupervisorEvents>(event: E, ...args: SupervisorEvents[E]) => void
  readonly #plan: RestartPlan
  readonly #watchdog = new Watchdog()
  #process: Process | undefined
  #backoff: NodeJS.Timeout | undefined
  #adopted = false
  #timeout: LastExit['timeout'] = null
  #phase: ChildPhase = 'starting'
  #sinceMs = Date.now()
  #restarts = 0
  #lost = 0
  #lastExit: LastExit | null = null
  /** Its last process ended otherwise than it should. */
  #failed = false
  #finish!: () => void
  #fail!: (error: unknown) => void

  constructor(
    name: string,
    options: CheckedOptions,
    restart: MakeProcess,
    emit: <E extends keyof SupervisorEvents>(event: E, ...args: SupervisorEvents[E]) => void,
  ) {
    this.#name = name
    this.#options = options
    this.#restart = restart
    this.#emit = emit
    this.#plan = new RestartPlan(options)
    this.over = new Promise((resolve, reject) => {
      this.#finish = resolve
      this.#fail = reject
    })
    // Whoever stops the supervisor is told; nobody has to.
    this.over.catch(() => {})
  }

  /** It is gone, and not started again. */
  get isOver(): boolean {
    return this.#phase === 'ended' || this.#phase === 'gave-up'
  }

  /** It is over, and ended otherwise than it should. */
  get hasFailed(): boolean {
    return this.#phase === 'gave-up' || (this.#phase === 'ended' && this.#failed)
  }

  get state(): ChildState {
    return {
      name: this.#name,
      phase: this.#phase,
      sinceMs: this.#sinceMs,
      pid: this.#process?.pid ?? null,
      adopted: this.#adopted,
      restarts: this.#restarts,
      lost: this.#lost,
      lastExit: this.#lastExit,
    }
  }

  start(): void {
    this.#enter('starting')
    this.#run(this.#restart)
    this.#watchdog.start(this.#options.startTimeout, () => this.#kill('start'))
  }

  /** Takes over a process that has started long ago. */
  adopt(process: MakeProcess): void {
    this.#adopted = true
    this.#run(process)
    this.#enter('running')
    this.#emit('started', this.state)
  }

  /** Asks it to end; from now on it is not started again. */
  stop(): void {
    if (this.isOver || this.#phase === 'stopping') return
    clearTimeout(this.#backoff)
    if (this.#process === undefined) return this.#conclude('ended')
    this.#enter('stopping')
    this.#watchdog.start(this.#options.stopTimeout, () => this.#kill('stop'))
    this.#process.terminate()
  }

  /** Ends it at once, if it has been stopped and is not gone. */
  kill(): void {
    if (this.#phase === 'stopping') this.#kill('stop')
  }

  #run(make: MakeProcess): void {
    this.#timeout = null
    try {
      this.#process = make({
        told: (told) => this.#told(told),
        printed: (line) => this.#emit('output', this.state, line),
        ended: (ending) => this.#ended(ending),
      })
    } catch (error) {
      // As a process that could not be started for another reason: that is told later, too.
      queueMicrotask(() => this.#ended({ code: null, signal: null, error: error as Error }))
    }
  }

  #told(told: Told): void {
    if (told.millrace === 'lost') this.#lost += told.messages
    if (told.millrace === 'queue') this.#emit('queue', this.state, told)
    if (told.millrace === 'progress' && this.#phase === 'running') this.#watchdog.heard()
    if (told.millrace !== 'ready' || this.#phase !== 'starting') return
    this.#enter('running')
    // A call of progress() that is too close to the one before tells nothing.
    this.#watchdog.start(this.#options.stallTimeout * (1 + PROGRESS_SHARE), () => {
      this.#emit('stalled', this.state)
      this.#kill('stall')
    })
    this.#emit('started', this.state)
  }

  #kill(timeout: LastExit['timeout']): void {
    this.#timeout = timeout
    this.#process?.kill().catch(this.#fail)
  }

  #ended({ code, signal, error }: Ending): void {
    if (this.isOver) return
    this.#watchdog.stop()
    const isStopping = this.#phase === 'stopping'
    const isWatched = !this.#adopted || error === undefined
    // Who dies of our SIGTERM ends as it was asked to, and how an adopted one ends cannot be known.
    const obeyed = isStopping && (signal === 'SIGTERM' || this.#adopted)
    this.#failed = this.#timeout !== null || error !== undefined || (code !== 0 && !obeyed)
    this.#process = undefined
    this.#adopted = false
    this.#lastExit = { code, signal, timeout: this.#timeout, error: error?.message ?? null, atMs: Date.now() }
    const next = isStopping || !isWatched ? 'no' : this.#plan.next(this.#failed, performance.now())
    if (typeof next === 'number') return this.#restartIn(next)
    this.#conclude(next === 'exhausted' ? 'gave-up' : 'ended')
  }

  #restartIn(delay: number): void {
    this.#enter('waiting')
    this.#emit('exited', this.state)
    this.#emit('restarting', this.state, delay)
    // It keeps the process alive: what it waits for is to be done.
    this.#backoff = setTimeout(() => {
      this.#restarts++
      this.start()
    }, delay)
  }

  #conclude(phase: 'ended' | 'gave-up'): void {
    const wasWaiting = this.#phase === 'waiting'
    this.#enter(phase)
    if (!wasWaiting) this.#emit('exited', this.state)
    if (phase === 'gave-up') this.#emit('gave-up', this.state)
    this.#finish()
  }

  #enter(phase: ChildPhase): void {
    this.#phase = phase
    this.#sinceMs = Date.now()
  }
}
