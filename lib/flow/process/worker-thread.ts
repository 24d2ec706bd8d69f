import { finished } from 'node:stream/promises'
import type { ResourceLimits } from 'node:worker_threads'
import { Worker, workerData } from 'node:worker_threads'
import type { OptionNames } from '../../check.js'
import type { CheckedOptions, ChildOptions } from './child-options.js'
import type { Process, ProcessListener } from './child-process.js'
import { readLines } from './child-process.js'
import { CHARGE_VARIABLE, chargeOf, STOP, toldIn } from './control.js'

/** Options of a worker thread of a flow. It is not started again: its end is that of its blocks. */
export interface WorkerOptions extends Partial<
  Pick<ChildOptions, 'module' | 'args' | 'execArgv' | 'env' | 'startTimeout' | 'stallTimeout' | 'stopTimeout' | 'stdio'>
> {
  /** What it may use, as of `node:worker_threads`: it fails when it exceeds that. */
  resourceLimits?: ResourceLimits
}

/** @internal */
export const WORKER_OPTIONS: OptionNames<WorkerOptions> = {
  module: true,
  args: true,
  execArgv: true,
  env: true,
  startTimeout: true,
  stallTimeout: true,
  stopTimeout: true,
  stdio: true,
  resourceLimits: true,
}

/** A worker thread that this process starts. It keeps the event loop alive. */
export class WorkerThread implements Process {
  readonly pid = process.pid
  readonly #worker: Worker

  constructor(name: string, options: CheckedOptions, resourceLimits: ResourceLimits, listener: ProcessListener) {
    const { module, args, execArgv, env, stdio } = options
    const isOurs = stdio !== 'inherit'
    this.#worker = new Worker(module, {
      argv: [...args],
      env: { ...process.env, ...env, [CHARGE_VARIABLE]: JSON.stringify(chargeOf(name, options)) },
      // A program that is itself in a worker thread is run once more as it was.
      workerData,
      resourceLimits,
      stdout: isOurs,
      stderr: isOurs,
      ...(execArgv !== undefined && { execArgv: [...execArgv] }),
    })
    const { stdout, stderr } = this.#worker
    if (stdio === 'pipe') readLines({ stdout, stderr }, listener)
    if (stdio === 'ignore') for (const stream of [stdout, stderr]) stream.resume()
    // They end after the thread has.
    const printed = isOurs ? [finished(stdout), finished(stderr)] : []
    let failure: Error | undefined
    this.#worker.on('message', (message) => {
      const told = toldIn(message)
      if (told !== undefined) listener.told(told)
    })
    this.#worker.on('error', (error) => (failure = error))
    this.#worker.once('exit', (code) => {
      const ending = { code, signal: null, ...(failure !== undefined && { error: failure }) }
      const tell = () => listener.ended(ending)
      Promise.all(printed).then(tell, tell)
    })
  }

  terminate(): void {
    this.#worker.postMessage(STOP)
  }

  async kill(): Promise<void> {
    await this.#worker.terminate()
  }
}
