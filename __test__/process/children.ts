import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import type { RecoveryReport, ShmManager } from '../../index.js'
import { sendSignal } from '../../lib/send-signal.js'
import { threadsOf } from '../helpers/threads.js'

/** How a process ended. */
export interface Ending {
  code: number | null
  signal: NodeJS.Signals | null
  /** What it had written to stderr. */
  stderr: string
}

/** A program of __test__/fixtures in a process of its own. */
export class Child {
  /** How it ends, once it does. */
  readonly ended: Promise<Ending>
  readonly #process: ChildProcess
  readonly #name: string
  readonly #told: unknown[] = []
  #notify: (() => void) | undefined
  #ending: Ending | undefined

  constructor(name: string, child: ChildProcess) {
    this.#name = name
    this.#process = child
    let stderr = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('message', (message) => {
      this.#told.push(message)
      this.#notify?.()
    })
    // `close` comes after the last message and the last of stderr.
    this.ended = once(child, 'close').then(([code, signal]) => {
      this.#ending = { code, signal, stderr }
      this.#notify?.()
      return this.#ending
    })
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** The next thing it tells. */
  async hear<M>(): Promise<M> {
    while (this.#told.length === 0) {
      if (this.#ending !== undefined) {
        const { code, signal, stderr } = this.#ending
        throw new Error(`${this.#name} ended with ${signal ?? code} and told nothing: ${stderr}`)
      }
      await new Promise<void>((resolve) => (this.#notify = resolve))
    }
    return this.#told.shift() as M
  }

  /** Waits until it has told that it is ready. */
  started(): Promise<this> {
    return this.heard('started')
  }

  /** Waits for its next word, which must be that one. */
  async heard(expected: string): Promise<this> {
    const word = await this.hear()
    if (word !== expected) throw new Error(`${this.#name} told ${JSON.stringify(word)}`)
    return this
  }

  /** Tells it something. Of one that has ended meanwhile, whoever hears it next is told why. */
  say(message: string): void {
    this.#process.send(message, () => {})
  }

  /** What is known of it, for a test that has failed. */
  describe(): string {
    const { code, signal, stderr } = this.#ending ?? {}
    const end = this.#ending === undefined ? 'has not ended' : `ended with ${signal ?? code}: ${stderr}`
    return `${this.#name}, process ${this.pid}, ${end}\n${threadsOf(this.pid)}`
  }

  /** Sends it a signal. */
  signal(signal: NodeJS.Signals): void {
    sendSignal(this.#process, signal)
  }

  /** `kill -9`; resolves when it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended
  }

  /** Waits for its end, which must be a good one. */
  async done(): Promise<void> {
    const { code, signal, stderr } = await this.ended
    if (code !== 0) throw new Error(`${this.#name} ended with ${signal ?? code}: ${stderr}`)
  }
}

/** Starts a program of __test__/fixtures. When the test ends it is killed, if it still lives. */
export function startChild(
  t: Pick<ExecutionContext, 'teardown'> & Partial<Pick<ExecutionContext, 'passed' | 'log'>>,
  fixture: string,
  args: unknown,
  options: ForkOptions = {},
): Child {
  const file = fileURLToPath(new URL(`../fixtures/${fixture}.js`, import.meta.url))
  const stdio = ['ignore', 'inherit', 'pipe', 'ipc'] satisfies ForkOptions['stdio']
  const child = new Child(fixture, fork(file, [JSON.stringify(args)], { ...options, stdio }))
  t.teardown(() => {
    if (t.passed === false) t.log?.(`${child.describe()}\nthe test, process ${process.pid}\n${threadsOf(process.pid)}`)
    return child.kill()
  })
  return child
}

/** Resolves when `condition` holds: for states that nobody announces. The test's timeout bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1))
}

/** Hears of deaths. Made before anybody dies. */
export class Deaths {
  readonly #reports = new Map<number, RecoveryReport>()
  readonly #shm: ShmManager

  constructor(shm: ShmManager) {
    this.#shm = shm
    shm.on('participant-lost', (report) => this.#reports.set(report.pid, report))
  }

  /** Messages that were lost with the dead, all together. */
  get lost(): number {
    return [...this.#reports.values()].reduce((sum, { lost }) => sum + lost, 0)
  }

  /** The report of the death of `child`; waits for it. */
  async of(child: Child): Promise<RecoveryReport> {
    for (;;) {
      const report = this.#reports.get(child.pid)
      if (report !== undefined) return report
      await once(this.#shm, 'participant-lost')
    }
  }
}
