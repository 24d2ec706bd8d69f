import { isMainThread, parentPort } from 'node:worker_threads'
import { checkInteger } from '../../check.js'
import { MillraceError } from '../../errors.js'
import { type Charge, CHARGE_VARIABLE, EXIT_LOST, PROGRESS_SHARE, STOP, type Told } from './control.js'

/**
 * The side of the supervised process. It keeps nothing alive: the process ends when its own work has.
 * In a process that nobody supervises it hears the signals alone.
 */
export class Child {
  /** Its name at the supervisor; undefined: nobody supervises this process. */
  readonly name: string | undefined
  /** Aborts when the process is to end: at the first `SIGINT` or `SIGTERM`, or when its supervisor is gone and it is not detached. */
  readonly stopping: AbortSignal
  /** Aborts at the second `SIGINT`, right before the process dies of it. */
  readonly aborting: AbortSignal
  readonly #stop = new AbortController()
  readonly #abort = new AbortController()
  readonly #charge: Charge | undefined
  #interrupted = false
  #progressDue = 0
  #lost = 0

  /** @internal */
  constructor(charge: Charge | undefined) {
    this.#charge = charge
    this.name = charge?.name
    this.stopping = this.#stop.signal
    this.aborting = this.#abort.signal
    if (isMainThread) this.#hearSignals()
    else parentPort!.on('message', (message) => message === STOP && this.#end('its supervisor')).unref()
  }

  #hearSignals(): void {
    process.on('SIGINT', () => this.#interrupt())
    process.on('SIGTERM', () => this.#end('SIGTERM'))
    if (this.#charge === undefined || this.#charge.detached) return
    process.once('disconnect', () => this.#orphaned())
    if (!process.connected) this.#orphaned()
    // A listener for its end would keep the process alive otherwise.
    process.channel?.unref()
  }

  /** It has started: `startTimeout` is over, and `stallTimeout` begins. */
  ready(): void {
    this.tell({ millrace: 'ready' })
  }

  /** It works, or has looked and found nothing to do: `stallTimeout` begins anew. Cheap, for every message. */
  progress(): void {
    const now = performance.now()
    if (now < this.#progressDue) return
    this.#progressDue = now + (this.#charge?.stallTimeout ?? Infinity) * PROGRESS_SHARE
    this.tell({ millrace: 'progress' })
  }

  /** @internal From now on its event loop tells that it turns, as long as `goesOn` says so, until the returned function is called. */
  keepTelling(goesOn: () => boolean): () => void {
    const stallTimeout = this.#charge?.stallTimeout ?? null
    if (stallTimeout === null) return () => {}
    const timer = setInterval(() => goesOn() && this.progress(), stallTimeout * PROGRESS_SHARE).unref()
    return () => clearInterval(timer)
  }

  /** So many messages more have been lost. Unless the program has set another one, the exit code is 3 then. */
  lost(messages: number): void {
    this.#lost += checkInteger('messages', messages, 0, Number.MAX_SAFE_INTEGER)
    if (this.#lost === 0) return
    process.exitCode ??= EXIT_LOST
    this.tell({ millrace: 'lost', messages })
  }

  /** @internal */
  tell(told: Told): void {
    if (this.#charge === undefined) return
    if (!isMainThread) return parentPort!.postMessage(told)
    if (!process.connected) return
    // Whether the supervisor still hears it, `disconnect` says.
    process.send!(told, undefined, {}, () => {})
  }

  /**
   * The second dies of it, so that the domain is told what is lost. One listener for both: on Deno one that is added while a signal is told
   * hears that signal, too.
   */
  #interrupt(): void {
    if (!this.#interrupted) {
      this.#interrupted = true
      return this.#end('SIGINT')
    }
    this.#abort.abort(new MillraceError('ERR_MILLRACE_CLOSED', 'the process was interrupted twice'))
    process.removeAllListeners('SIGINT')
    process.kill(process.pid, 'SIGINT')
  }

  /** Nobody is left to kill it at the deadline. */
  #orphaned(): void {
    const timeout = this.#charge?.stopTimeout ?? null
    if (timeout !== null) setTimeout(() => process.kill(process.pid, 'SIGKILL'), timeout).unref()
    this.#end('the end of its supervisor')
  }

  #end(why: string): void {
    this.#stop.abort(new MillraceError('ERR_MILLRACE_CLOSED', `the process is to end: ${why}`))
  }
}

/** Where all copies of this package in a process (ESM and CommonJS) find the one object. */
const ONLY = Symbol.for('millrace.child')
const shared = globalThis as { [ONLY]?: Child }

/**
 * How this process is supervised: what it tells its {@link Supervisor}, and hears of it. From the first call on, the first `SIGINT`
 * and `SIGTERM` do not end the process: {@link Child.stopping} aborts, and the program ends its work. Always the same object.
 * In a worker thread that a flow has started it is that of the thread, which is told to end without a signal.
 * @throws `MillraceError` `ERR_MILLRACE_UNSUPPORTED` in any other worker thread, which hears no signals
 */
export function child(): Child {
  return (shared[ONLY] ??= makeChild())
}

function makeChild(): Child {
  const charge = takeCharge()
  if (isMainThread || charge !== undefined) return new Child(charge)
  throw new MillraceError(
    'ERR_MILLRACE_UNSUPPORTED',
    'child() is of a process, and this is a worker thread: call it in the main thread',
  )
}

/** Processes that this one starts are not supervised by the same supervisor: the variable goes. */
function takeCharge(): Charge | undefined {
  const text = process.env[CHARGE_VARIABLE]
  delete process.env[CHARGE_VARIABLE]
  return text === undefined ? undefined : (JSON.parse(text) as Charge)
}
