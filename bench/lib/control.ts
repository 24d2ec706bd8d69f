// Requests between a process and one it has started (or a worker thread), beside whatever else their channel carries.
import { type ChildProcess, fork, type SerializationType } from 'node:child_process'
import { basename } from 'node:path'
import { type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads'
import { programPath } from './paths.js'

/** Either end of the channel between a program and who started it. */
export type Channel = ChildProcess | NodeJS.Process | Worker | MessagePort

interface Request {
  readonly request: number
  readonly command: string
  readonly argument: unknown
}

interface Reply {
  readonly reply: number
  readonly result?: unknown
  readonly error?: string
}

/** What of the resources a process has used so far. */
export interface Usage {
  /** User and system time of all its threads, in s. */
  readonly cpuSeconds: number
  readonly rssMib: number
}

/** What a program does when it is asked to. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>

/** An object: data of a peer that shares the channel may be any text. */
const END = { end: true }

/** A program that runs, as a process or as a worker thread; see {@link programPath}. */
export class Program {
  readonly channel: ChildProcess | Worker
  readonly #pending = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  readonly #exit: Promise<unknown>
  #next = 0
  #ended: string | undefined

  private constructor(channel: ChildProcess | Worker, program: string | URL) {
    const name = basename(programPath(program), '.js')
    this.channel = channel
    const emitter: NodeJS.EventEmitter = channel
    emitter.on('message', (message: unknown) => {
      if (isObject(message) && 'reply' in message) this.#settle(message as unknown as Reply)
    })
    emitter.on('error', (error: Error) => console.error(`program '${name}': ${error.message}`))
    // Not by `once`, which ends with the error of a message to who is dying.
    this.#exit = new Promise((resolve) => emitter.once('exit', resolve))
    emitter.once('exit', (code: number | null, signal?: string | null) => {
      this.#ended = `program '${name}' has ended with ${signal ?? `code ${code}`}`
      for (const pending of this.#pending.values()) pending.reject(new Error(this.#ended))
      this.#pending.clear()
    })
  }

  /** Of the process that it is, or is a thread of. */
  get pid(): number {
    return 'pid' in this.channel ? this.channel.pid! : process.pid
  }

  /** Starts a program as a process. */
  static process(
    name: string | URL,
    job: unknown,
    serialization: SerializationType = 'advanced',
    environment: NodeJS.ProcessEnv = {},
  ): Program {
    const options = { serialization, execArgv: ['--expose-gc'], env: { ...process.env, ...environment } }
    return new Program(fork(programPath(name), [JSON.stringify(job)], options), name)
  }

  /** Starts a program as a worker thread of this process. */
  static worker(name: string | URL, job: unknown): Program {
    return new Program(new Worker(programPath(name), { workerData: job }), name)
  }

  /** Asks it for something it serves. */
  request<T>(command: string, argument?: unknown): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(new Error(this.#ended))
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(this.#next, { resolve: (value) => resolve(value as T), reject })
      post(this.channel, { request: this.#next++, command, argument } satisfies Request)
    })
  }

  /** CPU time and memory so far; of the whole process, if it is a worker thread. */
  usage(): Promise<Usage> {
    return this.request<Usage>('usage')
  }

  /** Lets it end, and waits for that. */
  async stop(): Promise<void> {
    if (this.#ended === undefined) post(this.channel, END)
    await this.#exit
    if (this.#ended?.endsWith('code 0') !== true) throw new Error(this.#ended)
  }

  /** Kills it at once, and waits for its end. */
  async kill(): Promise<void> {
    if ('terminate' in this.channel) void this.channel.terminate()
    else this.channel.kill('SIGKILL')
    await this.#exit
  }

  #settle({ reply, result, error }: Reply): void {
    const pending = this.#pending.get(reply)
    this.#pending.delete(reply)
    if (error === undefined) pending?.resolve(result)
    else pending?.reject(new Error(error))
  }
}

/** What the program was started with. */
export function jobOf<T>(): T {
  return (parentPort === null ? JSON.parse(process.argv[2] ?? 'null') : workerData) as T
}

/** The channel to whoever started this program. */
export const parent: NodeJS.Process | MessagePort = parentPort ?? process

/** Answers requests until this program is to end; then calls `onEnd`. */
export function serve(commands: Commands, onEnd: () => unknown = () => {}): void {
  const all: Commands = { usage: () => ownUsage(), ...commands }
  const end = async () => {
    await onEnd()
    process.exit()
  }
  parent.on('message', (message: unknown) => {
    if (!isObject(message)) return
    if ('end' in message) void end()
    else if ('request' in message) void answer(message as unknown as Request)
  })
  if (parentPort !== null) return
  // Nobody, and nothing in shared memory, is to be left behind by a suite that was interrupted: it ends, then we do, in order.
  process.once('disconnect', () => void end())
  process.on('SIGINT', () => {})

  async function answer({ request, command, argument }: Request): Promise<void> {
    try {
      const result = await all[command]!(argument as never)
      post(parent, { reply: request, result } satisfies Reply)
    } catch (error) {
      post(parent, { reply: request, error: (error as Error).stack ?? String(error) } satisfies Reply)
    }
  }
}

/** CPU time and memory of this process so far. */
export function ownUsage(): Usage {
  const { user, system } = process.cpuUsage()
  return { cpuSeconds: (user + system) / 1e6, rssMib: process.memoryUsage.rss() / 2 ** 20 }
}

/** Sends `message` to the other end, with `transfer` moved instead of copied where the channel can do that. */
export function post(channel: Channel, message: unknown, transfer?: readonly ArrayBuffer[]): void {
  if ('postMessage' in channel) channel.postMessage(message, transfer as ArrayBuffer[] | undefined)
  else channel.send!(message as object)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
