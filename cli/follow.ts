// Seeing messages without taking them away from anybody.
import { setTimeout } from 'node:timers/promises'
import { type BufferPtr, MillraceError, type PortQueue, type ShmManager } from '../index.js'
import type { Things } from './place.js'

/** Pause between two looks at the front of a queue. */
const LOOK_MS = 10

/**
 * Messages of a queue or topic as they are seen until `signal` is aborted, or nothing more can come. Of a topic by a subscription of our
 * own, which keeps only the latest message, so no publisher waits for us; of a queue what is at its front, looked at every few
 * milliseconds. Each is released when the next one is asked for.
 */
export async function* follow(
  shm: ShmManager,
  { queue, topic }: Things,
  signal: AbortSignal,
): AsyncGenerator<BufferPtr> {
  if (queue !== undefined) for await (const [message] of front(shm.portQueue(queue.name), signal)) yield message
  else yield* received(shm.topic(topic!.name).subscribe({ capacity: 1, overflow: 'latest' }), signal)
}

/** What `from` brings until `signal` is aborted, or nothing more can come; then it is closed, if it is ours to close. */
export async function* received(
  from: Pick<PortQueue, 'receive'> & Partial<Disposable>,
  signal: AbortSignal,
): AsyncGenerator<BufferPtr> {
  try {
    for (;;) {
      using message = await from.receive({ signal })
      yield message
    }
  } catch (error) {
    if (!signal.aborted && !isEnd(error)) throw error
  } finally {
    from[Symbol.dispose]?.()
  }
}

/** What is seen at the front of `queue`, each with how many had left it before. */
export async function* front(
  queue: PortQueue,
  signal: AbortSignal,
): AsyncGenerator<[message: BufferPtr, before: number]> {
  let last = -1
  while (!signal.aborted) {
    // Messages that have left the front: another count, another message.
    const before = gone(queue)
    if (before === null) return
    using message = before === last ? null : queue.peek()
    if (message !== null && gone(queue) === before) {
      last = before
      yield [message, before]
    } else await pause(LOOK_MS, signal)
  }
}

/** Messages that have left the queue; null: it has been destroyed. */
export function gone(queue: PortQueue): number | null {
  const stats = queue.stats()
  return stats === null ? null : stats.received + stats.dropped
}

/** Waits so long, or until `signal` is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {})
}

function isEnd(error: unknown): boolean {
  return (
    error instanceof MillraceError && (error.code === 'ERR_MILLRACE_CLOSED' || error.code === 'ERR_MILLRACE_DESTROYED')
  )
}
