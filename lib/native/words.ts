// Words that native code numbers by their places here.

/** What a send does when the queue is full. `block` loses nothing; every drop of the others is counted. */
export type Overflow = (typeof OVERFLOWS)[number]

/**
 * What becomes of messages that a consumer has taken and not released when it dies: `at-most-once` loses them and counts
 * them in the recovery report, `at-least-once` delivers them again, first in line.
 */
export type Delivery = (typeof DELIVERIES)[number]

export const OVERFLOWS = ['block', 'reject', 'drop-oldest', 'drop-newest', 'latest'] as const

export const DELIVERIES = ['at-most-once', 'at-least-once'] as const
