// Where a scenario runs: a domain, participants in processes or threads of their own, a watch over them, and what is not as it must be.
import { setTimeout } from 'node:timers/promises'
import { pause } from '../../cli/follow.js'
import { Program } from '../../bench/lib/control.js'
import { type ShmManager, ShmObserver, type Size } from '../../index.js'
import { leftovers, traceOf } from '../../lib/testing/traces.js'
import { Ends } from './end.js'
import type { Fault, Look, ParticipantJob } from './jobs.js'
import { possessionsOf } from './possessions.js'
import type { ParticipantResult } from './result.js'
import { Watch } from './watch.js'

/** How a scenario is to run. */
export interface StageOptions {
  readonly directory: string
  readonly seconds: number
  readonly processes: number
  /** Of what is random. */
  readonly seed: number
  /** Ends its time. */
  readonly signal: AbortSignal
  /** Participants are worker threads of this process. */
  readonly threads?: boolean
  readonly maxBytes?: Size
  /** What goes wrong, in one participant of the scenario. */
  readonly fault?: Fault
}

/** A participant. */
export interface Participant {
  readonly name: string
  readonly program: Program
  /** What it is there for. */
  readonly role: string
  /** It has been stopped. */
  stopped: boolean
  /** How it failed, if it did. */
  error: string | null
  /** What it has answered last, and whether it is to answer. */
  look: Look | null
  asked: boolean
}

const NOTHING = { rssBytes: 0, descriptors: 0 }
const PROGRAM = new URL('../programs/participant.js', import.meta.url)
const DOMAIN = 'stress'
/** A machine with few cores starts no more at a time. */
const STARTS_AT_ONCE = 4
/** Looks a run, and the shortest pause between two. */
const LOOKS = 60
const LOOK_PAUSE_MS = 50
/** What takes so much longer than it was to, and so much for each process, does not end. */
const GRACE_MS = 60_000
const GRACE_EACH_MS = 2000

export class Stage {
  readonly ends: Ends
  readonly watch = new Watch()
  readonly problems: string[] = []
  readonly latencies: Float64Array[] = []
  /** Messages that came. */
  messages = 0
  /** s that its time took in fact. */
  took: number
  readonly #options: StageOptions
  readonly #participants: Participant[] = []
  readonly #destroys: (() => void)[] = []
  readonly #shm: ShmManager
  readonly #deadline: NodeJS.Timeout
  #fault: Fault | undefined
  #over = false

  constructor(options: StageOptions) {
    this.#options = options
    this.took = options.seconds
    this.#fault = options.fault
    this.ends = new Ends({ directory: options.directory, domain: DOMAIN }, options.maxBytes)
    this.#shm = this.ends.shm
    const limit = options.seconds * 1e3 + GRACE_MS + options.processes * GRACE_EACH_MS
    this.#deadline = globalThis.setTimeout(() => void this.#giveUp(limit), limit)
  }

  get seconds(): number {
    return this.#options.seconds
  }

  /** Whether its time is. */
  get isOver(): boolean {
    return this.#over
  }

  get seed(): number {
    return this.#options.seed
  }

  get processes(): number {
    return this.#options.processes
  }

  /** Starts so many participants; resolves when all are there. `faulty`: the first of them is the one with the fault. */
  async start(role: string, count: number, faulty = false): Promise<Participant[]> {
    const { directory, threads } = this.#options
    const started: Participant[] = []
    while (started.length < count) {
      const some = Array.from({ length: Math.min(STARTS_AT_ONCE, count - started.length) }, () => {
        const fault = faulty ? this.#fault : undefined
        if (fault !== undefined) this.#fault = undefined
        const job: ParticipantJob = {
          directory,
          domain: DOMAIN,
          seconds: this.seconds,
          ...(fault !== undefined && { fault }),
        }
        const program = threads === true ? Program.worker(PROGRAM, job) : Program.process(PROGRAM, job)
        const name = `${role} ${this.#participants.length + 1}`
        const participant: Participant = { name, program, role, stopped: false, error: null, look: null, asked: false }
        this.#participants.push(participant)
        return participant
      })
      await Promise.all(some.map((participant) => this.ask(participant, 'look')))
      started.push(...some)
    }
    return started
  }

  /** What `participant` answers; undefined: it failed, which is its problem alone. */
  async ask<T>(participant: Participant, command: string, argument?: unknown): Promise<T | undefined> {
    if (participant.error !== null) return undefined
    try {
      return await participant.program.request<T>(command, argument)
    } catch (error) {
      participant.error ??= (error as Error).message
      // It is ended, or others would wait for what it has.
      participant.stopped = true
      await participant.program.stop().catch(() => {})
      return undefined
    }
  }

  /** What those of `participants` answer that answer. */
  async askAll<T>(participants: readonly Participant[], command: string, argument?: unknown): Promise<T[]> {
    const answers = await Promise.all(participants.map((one) => this.ask<T>(one, command, argument)))
    return answers.filter((answer) => answer !== undefined)
  }

  /** Waits for the time of the scenario, and looks at everybody meanwhile. */
  async time(): Promise<void> {
    const { signal } = this.#options
    const began = performance.now()
    const end = began + this.seconds * 1e3
    const between = Math.max(LOOK_PAUSE_MS, (this.seconds * 1e3) / LOOKS)
    while (performance.now() < end && !this.#over && !signal.aborted) {
      await this.#look()
      await pause(Math.max(0, Math.min(between, end - performance.now())), signal)
    }
    this.#over = true
    this.took = (performance.now() - began) / 1e3
    await this.#look()
  }

  /** Has `destroy` called at the end, after the last look at memory: those who have a queue open hold its ring. */
  atEnd(destroy: () => void): void {
    this.#destroys.push(destroy)
  }

  /** Something that has to be so. */
  expect(holds: boolean, problem: string): void {
    if (!holds) this.problems.push(problem)
  }

  /** Ends `participants`, which must end well. */
  async stop(participants: readonly Participant[]): Promise<void> {
    await Promise.all(
      participants.map(async (one) => {
        await this.#ask(one)
        one.stopped = true
        await one.program.stop().catch((error: Error) => (one.error ??= error.message))
      }),
    )
  }

  /** Nothing is left: of messages in memory, of participants, of the domain. Returns what each participant did. */
  async end(): Promise<ParticipantResult[]> {
    const shm = this.#shm
    const used = () => shm.registry.snapshot().pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0)
    this.expect(used() === 0, `${used()} buffers are in use, and there is no message`)
    for (const destroy of this.#destroys) destroy()
    await this.stop(this.#participants.filter(({ stopped }) => !stopped))
    clearTimeout(this.#deadline)
    for (const { name, error } of this.#participants) this.expect(error === null, `${name}: ${error}`)
    for (const { message } of await shm.fsck()) this.problems.push(`fsck: ${message}`)
    const trace = traceOf(shm)
    this.ends.close()
    for (const path of leftovers(trace)) this.problems.push(`${path} is left`)
    return this.#participants.map(({ name, role, look, error }) => ({
      name,
      role,
      messages: look?.messages ?? 0,
      error,
    }))
  }

  /**
   * Asks everybody who has answered the last time, and takes in what is known: who is busy answers late. What a process has is seen
   * from outside, where the system shows it.
   */
  async #look(): Promise<void> {
    const running = this.#participants.filter(({ error, stopped }) => error === null && !stopped)
    const asked = running.filter((one) => !one.asked).map((one) => this.#ask(one))
    await Promise.race([Promise.all(asked), setTimeout(LOOK_PAUSE_MS)])
    const looks = new Map<string, Look>()
    for (const [i, { name, look, program }] of running.entries()) {
      if (look === null) continue
      // Threads have what their process has.
      const counts = i === 0 || this.#options.threads !== true
      const has = counts ? possessionsOf(program.pid) : NOTHING
      looks.set(name, { ...look, ...has })
    }
    const domain = ShmObserver.list({ directory: this.#options.directory }).find(({ domain: name }) => name === DOMAIN)
    const usedBytes = domain?.error === null ? domain.usedBytes : 0
    this.watch.add(looks, { memoryBytes: domain?.memoryBytes ?? 0, usedBytes })
  }

  async #ask(one: Participant): Promise<void> {
    one.asked = true
    one.look = (await this.ask<Look>(one, 'look')) ?? one.look
    one.asked = false
  }

  async #giveUp(limit: number): Promise<void> {
    this.#over = true
    this.problems.push(`it did not end within ${limit / 1e3} s`)
    await Promise.all(this.#participants.map(({ program }) => program.kill()))
  }
}
