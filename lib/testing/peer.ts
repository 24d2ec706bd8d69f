import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkInteger, checkWord } from '../check.js'
import { sendSignal } from '../send-signal.js'
import type { Answer, Commands, Moment, PeerArgs } from './peer-protocol.js'
import { MOMENTS } from './peer-protocol.js'

const require = createRequire(import.meta.url)

/** Who waits for an answer. */
interface Asked {
  resolve: (result: unknown) => void
  reject: (error: Error) => void
}

/** How the process of a peer ended. */
export interface PeerEnd {
  /** Its exit code; null: a signal ended it. */
  code: number | null
  /** The signal that ended it. */
  signal: NodeJS.Signals | null
}

/**
 * Another process in the domain of a test, which does what it is told: holds memory, takes messages and does not acknowledge them, stops,
 * dies. Everything is real: the process, the signal, what others see. Made by {@link TestDomain.peer}; killed when that is closed.
 *
 * What it is told it does in order. A command fails with the error that it met there; or, if the process ends before it has answered, with one
 * that says how.
 */
export class Peer {
  /** How its process ends, once it does. */
  readonly ended: Promise<PeerEnd>
  /** Name of the participant. */
  readonly name: string
  readonly #process: ChildProcess
  readonly #waiting: Asked[] = []
  #participant = -1
  #end: Error | undefined

  /** @internal */
  constructor(domain: string, directory: string, name: string) {
    this.name = name
    const args: PeerArgs = { domain, directory, name }
    const child = fork(require.resolve('#test-peer'), [JSON.stringify(args)], {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    })
    this.#process = child
    let stderr = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('message', (answer: Answer) => {
      const asked = this.#waiting.shift()!
      if ('error' in answer) asked.reject(Object.assign(answer.error, { code: answer.code }))
      else asked.resolve(answer.result)
    })
    this.ended = new Promise((resolve, reject) => {
      const end = (error: Error) => {
        this.#end = error
        for (const asked of this.#waiting.splice(0)) asked.reject(error)
      }
      child.on('error', (error) => {
        end(error)
        reject(error)
      })
      // After the last message and the last of stderr.
      child.on('close', (code, signal) => {
        end(new Error(`peer "${name}" has ended with ${signal ?? `exit code ${code}`}: ${stderr}`))
        resolve({ code, signal })
      })
    })
    // Whoever waits for an answer hears of it.
    this.ended.catch(() => {})
  }

  /** Its process id. */
  get pid(): number {
    return this.#process.pid!
  }

  /** Slot of the participant. */
  get participant(): number {
    return this.#participant
  }

  /** @internal Waits until it has joined. */
  async joined(): Promise<this> {
    this.#participant = (await this.#answered()) as number
    return this
  }

  /** Allocates `count` buffers of `bytes` and keeps them. Waits while there are none. */
  hold(bytes: number, count = 1): Promise<void> {
    checkInteger('bytes', bytes, 0, 2 ** 31)
    checkInteger('count', count, 0, 2 ** 20)
    return this.#tell('hold', bytes, count)
  }

  /** Sends messages, whose bytes these are, to the queue of that name. Waits while that is full. */
  send(queue: string, ...messages: Uint8Array[]): Promise<void> {
    return this.#tell('send', queue, messages)
  }

  /** Takes `count` messages from the queue of that name, and neither releases nor acknowledges them; returns their bytes. */
  take(queue: string, count = 1): Promise<Uint8Array[]> {
    checkInteger('count', count, 0, 2 ** 20)
    return this.#tell('take', queue, count)
  }

  /** Releases all that it holds, which acknowledges the messages; returns how many references that were. */
  release(): Promise<number> {
    return this.#tell('release')
  }

  /** Leaves the domain in order. The process stays. */
  close(): Promise<void> {
    return this.#tell('close')
  }

  /**
   * Has it kill itself (`SIGKILL`) at the `count`th time that it comes to a moment of what it is told from now on: right after that step, before it
   * does or says anything else.
   */
  dieAt(moment: Moment, count = 1): Promise<void> {
    checkWord('moment', moment, MOMENTS)
    checkInteger('count', count, 1, 2 ** 20)
    return this.#tell('dieAt', moment, count)
  }

  /** Stops it with `SIGSTOP`. Resolves once it stands still, on Linux; elsewhere once it has been told. Not on Windows. */
  async stop(): Promise<void> {
    sendSignal(this.#process, 'SIGSTOP')
    if (process.platform !== 'linux') return
    // Behind the name, which may have any characters.
    const state = () => readFileSync(`/proc/${this.pid}/stat`, 'latin1').split(') ').at(-1)![0]
    while (state() !== 'T') await sleep(1)
  }

  /** Has it go on after {@link Peer.stop}. */
  resume(): void {
    sendSignal(this.#process, 'SIGCONT')
  }

  /** Has its process end with this exit code without leaving: it leaves as a program does that ends. */
  exit(code = 0): Promise<PeerEnd> {
    checkInteger('code', code, 0, 255)
    void this.#tell('exit', code).catch(() => {})
    return this.ended
  }

  /** Kills it with `SIGKILL`. Resolves when the process is gone; that others have put right what it held is an event of theirs. */
  kill(): Promise<PeerEnd> {
    sendSignal(this.#process, 'SIGKILL')
    return this.ended
  }

  async #tell<C extends keyof Commands>(
    command: C,
    ...args: Parameters<Commands[C]>
  ): Promise<ReturnType<Commands[C]>> {
    if (this.#end !== undefined) throw this.#end
    // What cannot be sent any more is answered by the end of the process.
    this.#process.send({ command, args }, () => {})
    return (await this.#answered()) as ReturnType<Commands[C]>
  }

  #answered(): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }
}
