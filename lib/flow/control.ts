// What a supervisor and its children tell each other: by an environment variable at the start, then by messages of the child, and by signals.
import type { Side } from './own-queue.js'

/** Bears a {@link Charge}, as JSON. */
export const CHARGE_VARIABLE = 'MILLRACE_CHILD'

/** What a child has to know of how it is supervised. */
export interface Charge {
  /** Its name at the supervisor. */
  name: string
  /** Whether it goes on without its supervisor. */
  detached: boolean
  /** ms; null: without end. */
  stallTimeout: number | null
  /** ms; null: without end. */
  stopTimeout: number | null
}

/** A message of the child; a program may send others over the same channel. */
export type Told = { millrace: 'ready' } | { millrace: 'progress' } | { millrace: 'lost'; messages: number } | ToldLeft

/** No block of the child is at that side of a queue of its flow any more. */
export interface ToldLeft {
  millrace: 'left'
  queue: string
  side: Side
}

/** Exit code of a process that has lost messages. */
export const EXIT_LOST = 3

/** The share of the stall timeout within which a second call of `progress()` tells nothing. */
export const PROGRESS_SHARE = 1 / 4

/** Reads a message of the channel; undefined: it is none of ours. */
export function toldIn(message: unknown): Told | undefined {
  if (typeof message !== 'object' || message === null || !('millrace' in message)) return undefined
  const { millrace, messages, queue, side } = message as Record<string, unknown>
  if (millrace === 'ready' || millrace === 'progress') return { millrace }
  if (millrace === 'lost' && Number.isSafeInteger(messages)) return { millrace, messages: messages as number }
  const isSide = side === 'senders' || side === 'receivers'
  if (millrace === 'left' && typeof queue === 'string' && isSide) return { millrace, queue, side }
  return undefined
}
