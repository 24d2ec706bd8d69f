import { type ChildProcess, fork } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { ShmManager } from '../../domain/manager.js'
import { hasCode, MillraceError } from '../../errors.js'
import { sendSignal, signalUnlessGone } from '../../send-signal.js'
import type { ParticipantStats } from '../../session/snapshot.js'
import type { CheckedOptions } from './child-options.js'
import { CHARGE_VARIABLE, chargeOf, type Told, toldIn } from './control.js'

/** A line that a child has printed. */
export interface OutputLine {
  /** Where it was printed. */
  stream: 'stdout' | 'stderr'
  /** Without its end. */
  text: string
}

/** How a process has ended, as far as it can be known. */
export interface Ending {
  /** null: a signal ended it, it could not be started, or it was not started by this supervisor. */
  code: number | null
  signal: NodeJS.Signals | null
  /** Why it could not be started, or cannot be watched any more. */
  error?: Error
}

/** Tells what is printed on streams that come here. */
export function readLines(
  streams: Readonly<Record<OutputLine['stream'], Readable | null>>,
  listener: ProcessListener,
): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    const input = streams[stream]
    if (input === null) continue
    createInterface({ input, crlfDelay: Infinity }).on('line', (text) => listener.printed({ stream, text }))
  }
}

/** One process, from its start to its end. */
export interface Process {
  /** undefined: it could not be started. */
  readonly pid: number | undefined
  /** Asks it to end. */
  terminate(): void
  /** Ends it at once. */
  kill(): Promise<void>
}

export interface ProcessListener {
  told(told: Told): void
  printed(line: OutputLine): void
  ended(ending: Ending): void
}

/** A process that this one starts. It keeps the event loop alive. */
export class OwnProcess implements Process {
  readonly #process: ChildProcess

  constructor(name: string, options: CheckedOptions, listener: ProcessListener) {
    const { module, args, execArgv, env, stdio, detached } = options
    this.#process = fork(module, args, {
      env: { ...process.env, ...env, [CHARGE_VARIABLE]: JSON.stringify(chargeOf(name, options)) },
      stdio: [stdio === 'pipe' ? 'ignore' : stdio, stdio, stdio, 'ipc'],
      detached,
      ...(execArgv !== undefined && { execArgv: [...execArgv] }),
    })
    this.#process.on('message', (message) => {
      const told = toldIn(message)
      if (told !== undefined) listener.told(told)
    })
    this.#process.on('error', (error) => {
      // A process that has started says how it ends by `close`.
      if (this.pid === undefined) listener.ended({ code: null, signal: null, error })
    })
    readLines(this.#process, listener)
    // After the last message, and the last line.
    this.#process.once('close', (code: number | null, signal: NodeJS.Signals | null) => {
      if (this.pid !== undefined) listener.ended({ code, signal })
    })
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  terminate(): void {
    sendSignal(this.#process, 'SIGTERM')
  }

  async kill(): Promise<void> {
    sendSignal(this.#process, 'SIGKILL')
  }
}

/** How often it is looked whether an adopted process is still there, in ms: the domain tells of deaths, and of nobody who leaves. */
const LOOK_PERIOD_MS = 100

/** A process that another supervisor had started: a participant of a domain, there until it has left. Keeps the event loop alive. */
export class AdoptedProcess implements Process {
  readonly pid: number
  readonly #shm: ShmManager
  readonly #participant: ParticipantStats
  readonly #timer: NodeJS.Timeout

  constructor(shm: ShmManager, participant: ParticipantStats, listener: ProcessListener) {
    this.#shm = shm
    this.#participant = participant
    this.pid = participant.pid
    this.#timer = setInterval(() => {
      if (!shm.closed && this.#isThere()) return
      clearInterval(this.#timer)
      const error = shm.closed
        ? new MillraceError('ERR_MILLRACE_CLOSED', `the manager of ${shm.domain} has been closed`)
        : undefined
      listener.ended({ code: null, signal: null, ...(error !== undefined && { error }) })
    }, LOOK_PERIOD_MS)
  }

  terminate(): void {
    // Who is in the domain at this moment has this number, or has just died.
    if (!this.#shm.closed && this.#isThere()) signalUnlessGone(this.pid, 'SIGTERM')
  }

  async kill(): Promise<void> {
    try {
      await this.#shm.evict(this.#participant)
    } catch (error) {
      if (!hasCode(error, 'ERR_MILLRACE_NOT_FOUND', 'ERR_MILLRACE_CLOSED')) throw error
    }
  }

  #isThere(): boolean {
    const { slot, epoch } = this.#participant
    return this.#shm.registry.snapshot().participants.some((one) => one.slot === slot && one.epoch === epoch)
  }
}
