import { setTimeout as sleep } from 'node:timers/promises'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { JsCounts } from './js-counts.js'

/** What is to be done with a message that the work of a block fails with. */
export interface OnError {
  readonly retries: number
  readonly backoffMs: number
  readonly skips: boolean
  readonly deadLetters: Pick<PortQueue<unknown>, 'trySend'> | undefined
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
  { retries, backoffMs, skips, deadLetters }: OnError,
  counts: JsCounts,
  error: unknown,
  stopping: AbortSignal,
  message: () => BufferPtr,
  again: () => R | PromiseLike<R>,
): Promise<R | typeof SKIPPED> {
  let last = error
  for (let tries = 0; tries < retries; tries++) {
    stopping.throwIfAborted()
    counts.add('retried', 1)
    if (backoffMs > 0) await sleep(backoffMs * Math.min(2 ** tries, BACKOFF_MAX), undefined, { signal: stopping })
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
