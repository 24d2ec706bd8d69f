import { channel } from 'node:diagnostics_channel'
import type { Session } from './session.js'

/** What the death of a participant meant: exact numbers. */
export interface RecoveryReport {
  /** Number of this recovery in the domain; 1 is the first. */
  sequence: number
  /** Slot the dead participant had. */
  slot: number
  epoch: number
  pid: number
  name: string
  /** Buffers that came back to the pool. */
  freed: number
  /** Messages it had taken from at-most-once queues and not released: nobody else will see them. */
  lost: number
  /** Messages that will be delivered to somebody else. */
  redelivered: number
  /** How long the repair took, in ns. */
  durationNs: number
  /** When it was done, in ms since the Unix epoch. */
  atMs: number
}

/** Hears every {@link RecoveryReport}. */
export const participantLost = channel('millrace:participant-lost')

/** @internal Takes the reports this participant has not seen, and publishes them. */
export function takeReports(session: Session): RecoveryReport[] {
  const reports = JSON.parse(session.call((open) => open.takeReports())) as RecoveryReport[]
  for (const report of reports) participantLost.publish({ domain: session.domain, report })
  return reports
}
