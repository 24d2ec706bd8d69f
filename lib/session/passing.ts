// What passes through this participant, told by channels of `node:diagnostics_channel`. Who subscribes runs at once: so it is told when the results
// of the operation have been read, which another one would overwrite.
import { channel } from 'node:diagnostics_channel'
import type { Session } from './session.js'

/** Messages that have passed together, as the channels tell it. */
export interface Passage {
  /** Name of the domain. */
  domain: string
  /** By what they passed, as errors name it: `queue 'frames'`, `topic 'prices'`, `service 'resize'`. */
  subject: string
  /** How many messages. */
  count: number
}

const publishes = channel('millrace:publish')
const receives = channel('millrace:receive')
const drops = channel('millrace:drop')
const redeliveries = channel('millrace:redelivery')

/** A message as far as the channels tell of it. */
interface Arrived {
  readonly gap: number
  readonly attempt: number
}

/** `count` messages were sent or published, and so many deliveries of them dropped, as far as the sender knows. */
export function tellSent({ domain }: Session, subject: string, count: number, dropped = 0): void {
  if (count > 0 && publishes.hasSubscribers) publishes.publish({ domain, subject, count } satisfies Passage)
  if (dropped > 0 && drops.hasSubscribers) drops.publish({ domain, subject, count: dropped } satisfies Passage)
}

/** Whether somebody wants to know what is received. */
export function isReceiptHeard(): boolean {
  return receives.hasSubscribers || drops.hasSubscribers || redeliveries.hasSubscribers
}

/** `messages` were received. */
export function tellReceived({ domain }: Session, subject: string, messages: Iterable<Arrived>): void {
  let count = 0
  let dropped = 0
  let again = 0
  for (const { gap, attempt } of messages) {
    count++
    dropped += gap
    if (attempt > 1) again++
  }
  if (dropped > 0) drops.publish({ domain, subject, count: dropped } satisfies Passage)
  receives.publish({ domain, subject, count } satisfies Passage)
  if (again > 0) redeliveries.publish({ domain, subject, count: again } satisfies Passage)
}
