import { constants } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'
import { MillraceError } from '../errors.js'

/** Options of {@link ShmManager.closeOnSignals}. */
export interface SignalOptions {
  /** Called at the signal: resolves when what was begun has been finished. Default: nothing is waited for. */
  drain?: () => unknown
  /** How long that may take, in ms; then the manager is closed all the same. Default: 10 000. */
  timeout?: number
}

/** @internal What {@link closeOnSignals} has begun. */
export interface Closing {
  /** Aborts at the first signal. */
  readonly stopping: AbortSignal
  /** Listens no more. */
  readonly forget: () => void
}

/** Those by which a process is asked to end. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const
/** Marks our listeners, also those of another copy of this package. */
const OURS = Symbol.for('millrace.closes-on-signals')

/**
 * @internal Has `close` called when the process is asked to end, which then ends by that signal, unless somebody else listens to it. `close` calls
 * {@link Closing.forget}.
 * @throws {@link MillraceError} `ERR_MILLRACE_UNSUPPORTED` in a worker thread
 */
export function closeOnSignals(
  domain: string,
  { drain, timeout }: Required<SignalOptions>,
  close: () => void,
): Closing {
  if (!isMainThread) {
    const message = 'a worker thread hears no signals: have it told by a message to close its managers'
    throw new MillraceError('ERR_MILLRACE_UNSUPPORTED', message)
  }
  const stop = new AbortController()
  let listens = true
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    // Those that listen once are still there: ours are called first.
    const isOurs = process.listeners(signal).every((listener) => OURS in listener)
    // A second signal waits for nobody.
    if (!stop.signal.aborted) {
      stop.abort(new MillraceError('ERR_MILLRACE_CLOSED', `the process is to end: ${signal}`))
      await drained(domain, signal, drain, timeout)
    }
    // Closed meanwhile by the program, which then ends as it likes.
    if (!listens) return
    close()
    if (!isOurs || process.listenerCount(signal) > 0) return
    process.kill(process.pid, signal)
    // The kernel lets no signal end process 1 of a container: it has the exit code that a shell would tell.
    process.exit(128 + constants.signals[signal])
  }
  const listener = Object.assign((signal: NodeJS.Signals): void => void end(signal), { [OURS]: true })
  for (const signal of SIGNALS) process.prependListener(signal, listener)
  const forget = (): void => {
    listens = false
    for (const signal of SIGNALS) process.off(signal, listener)
  }
  return { stopping: stop.signal, forget }
}

/** Resolves when `drain` is done, fails, or takes too long: a process warning tells of the last two. */
async function drained(domain: string, signal: string, drain: () => unknown, timeout: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    if (timeout === Infinity) return
    timer = setTimeout(() => reject(new Error(`it takes longer than ${timeout} ms`)), timeout)
  })
  try {
    await Promise.race([drain(), late])
  } catch (error) {
    const message = `domain "${domain}" is closed at ${signal} before it is drained: ${(error as Error).message}`
    process.emitWarning(message, { type: 'MillraceWarning', code: 'MILLRACE_DRAIN' })
    // Written in a later tick: the process does not end before.
    await setImmediate()
  } finally {
    clearTimeout(timer)
  }
}
