// Queues that values are put into and got from: port queues, and the work queues of SageQueues.
import { type ErrorCode, MillraceError, type PortQueue, SageQueue, type ShmManager } from '../index.js'
import { codecOf, queueIn, type QueueThere } from './place.js'

/** A value that was got. */
export interface Got {
  readonly value: unknown
  /** It has been dealt with. */
  readonly done: () => void
  /** Puts it back in front, where there is a way to do that. */
  readonly giveBack: () => void
}

/** An end of a queue. */
export interface ValueQueue extends Disposable {
  readonly kind: QueueThere['kind']
  readonly codec: string
  /** Puts `value` within `timeout` ms; false: there was no room. */
  readonly put: (value: unknown, timeout: number) => Promise<boolean>
  /** The next value within `timeout` ms; null: there was none, or there will be none any more. */
  readonly get: (timeout: number) => Promise<Got | null>
}

/** Opens queue `name` of the domain, which must exist. `where` is that of the domain. */
export function openValues(shm: ShmManager, name: string, where: { directory?: string }): ValueQueue {
  const { kind, stats } = queueIn(shm.registry.snapshot(), name)
  if (kind === 'queue') return ofPort(shm.portQueue<unknown>(name), codecOf(stats))
  return ofSage(new SageQueue<unknown>(name, { domain: shm.domain, ...where }), stats.codec)
}

function nothing(): void {}

function ofPort(queue: PortQueue<unknown>, codec: string): ValueQueue {
  return {
    kind: 'queue',
    codec,
    put: async (value, timeout) => (await unless(['ERR_MILLRACE_TIMEOUT'], queue.put(value, { timeout }))) !== null,
    async get(timeout) {
      const got = await unless(['ERR_MILLRACE_TIMEOUT', 'ERR_MILLRACE_CLOSED'], queue.get({ timeout }))
      // A value that was got of a port queue is acknowledged.
      return got && { ...got, done: nothing, giveBack: nothing }
    },
    [Symbol.dispose]: nothing,
  }
}

function ofSage(queue: SageQueue, codec: string): ValueQueue {
  return {
    kind: 'work queue',
    codec,
    put: async (value, timeout) => (await unless(['ERR_MILLRACE_FULL'], queue.put(value, { timeout }))) !== null,
    async get(timeout) {
      const got = await unless(['ERR_MILLRACE_EMPTY', 'ERR_MILLRACE_CLOSED'], queue.get({ timeout }))
      return got && { ...got, done: () => queue.taskDone(), giveBack: () => queue.giveBack() }
    },
    [Symbol.dispose]: () => queue.close(),
  }
}

/** What `wait` comes to; null: it has ended with one of `codes`. */
async function unless<T>(codes: readonly ErrorCode[], wait: Promise<T>): Promise<{ value: T } | null> {
  try {
    return { value: await wait }
  } catch (error) {
    if (error instanceof MillraceError && codes.includes(error.code)) return null
    throw error
  }
}
