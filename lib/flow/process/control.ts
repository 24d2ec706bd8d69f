// What a supervisor and its children tell each other: by an environment variable at the start, then by messages of the child, and by signals.

import type { CheckedOptions } from './child-options.js'

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

/** What a child is told of how it is supervised. */
export function chargeOf(name: string, options: CheckedOptions): Charge {
  const { detached, stallTimeout, stopTimeout } = options
  return { name, detached, stallTimeout: orNull(stallTimeout), stopTimeout: orNull(stopTimeout) }
}

function orNull(ms: number): number | null {
  return ms === Infinity ? null : ms
}

/** What a worker thread is told that is to end: signals are for processes. */
export const STOP = 'millrace:stop'

/** A message of the child; a program may send others over the same channel. */
export type Told =
  { millrace: 'ready' } | { millrace: 'progress' } | { millrace: 'lost'; messages: number } | ToldOfQueue

/** What becomes of a queue of the child's flow: the child has made it, or no block of the child is at that side of it any more. */
export interface ToldOfQueue {
  millrace: 'queue'
  queue: string
  event: (typeof QUEUE_EVENTS)[number]
}

/** What can become of a queue. */
const QUEUE_EVENTS = ['made', 'senders', 'receivers'] as const

/** Exit code of a process that has lost messages. */
export const EXIT_LOST = 3

/** The share of the stall timeout within which a second call of `progress()` tells nothing. */
export const PROGRESS_SHARE = 1 / 4

/** Reads a message of the channel; undefined: it is none of ours. */
export function toldIn(message: unknown): Told | undefined {
  if (typeof message !== 'object' || message === null || !('millrace' in message)) return undefined
  const { millrace, messages, queue, event } = message as Record<string, unknown>
  if (millrace === 'ready' || millrace === 'progress') return { millrace }
  if (millrace === 'lost' && Number.isSafeInteger(messages)) return { millrace, messages: messages as number }
  const known = QUEUE_EVENTS.find((one) => one === event)
  if (millrace === 'queue' && typeof queue === 'string' && known !== undefined) return { millrace, queue, event: known }
  return undefined
}
