// Which domains outlive their participants.
import type { DomainEntry } from '../index.js'

/** Whether a domain that nobody is in is removed only when it is named. */
export function isKept(entry: DomainEntry): boolean {
  return entry.error !== null || keptFor(entry) !== null
}

/** Why a domain that can be read outlives its participants. */
export function keptFor(entry: DomainEntry): string | null {
  if (entry.error !== null) return null
  const reasons = [...(entry.persist ? ['persist'] : []), ...(entry.workQueues > 0 ? ['work'] : [])]
  return reasons.join(', ') || null
}
