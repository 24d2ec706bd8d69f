import type { BufferPtr } from '../../memory/buffer-ptr.js'
import type { PortQueue } from '../../queue/port-queue.js'
import type { Clock } from '../block/clock.js'
import type { JsCounts } from './js-counts.js'

/** What is to be done with a message that the work of a block fails with. */
export interface OnError {
  readonly retries: number
  readonly backoffMs: number
  readonly skips: boolean
  readonly deadLetters: Pick<PortQueue<unknown>, 'trySend'> | undefined
}

/** What the failure of a block meets. */
interface Circumstances {
  readonly onError: OnError
  readonly counts: JsCounts
  readonly clock: Clock
  readonly stopping: AbortSignal
}

/** In place of a result: the message has been given up. */
export const SKIPPED = Symbol('skipped')

/** No backoff is more than so many times as long as the first. */
const BACKOFF_MAX = 2 ** 16

/**
 * Work has failed with `error`: tries it again, and does what is to be done after that.
 * @throws the last error if that is to fail
 */
export async function recover<R>(
  { onError, counts, clock, stopping }: Circumstances,
  error: unknown,
  message: () => BufferPtr,
  again: () => R | PromiseLike<R>,
): Promise<R | typeof SKIPPED> {
  const { retries, backoffMs, skips, deadLetters } = onError
  let last = error
  for (let tries = 0; tries < retries; tries++) {
    stopping.throwIfAborted()
    counts.add('retried', 1)
    if (backoffMs > 0) await clock.sleep(backoffMs * Math.min(2 ** tries, BACKOFF_MAX), stopping)
    try {
      return await again()
    } catch (failure) {
      last = failure
    }
  }
  if (deadLetters !== undefined) counts.add(deadLetters.trySend(message()) ? 'deadLettered' : 'skipped', 1)
  else if (skips) counts.add('skipped', 1)
  else throw last
  return SKIPPED
}

/** What `work` fails with. */
export async function failureOf(work: () => void | Promise<void>): Promise<{ readonly error: unknown } | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    return { error }
  }
}
