import { keyOf } from '../session/participant-id.js'
import { channel } from 'node:diagnostics_channel'
import type { Session } from '../session/session.js'
import type { StallPhase } from '../session/snapshot.js'
import { snapshotOf } from '../session/snapshot.js'

/** What the death of a participant meant: exact numbers. */
export interface RecoveryReport {
  /** Number of this recovery in the domain; 1 is the first. */
  sequence: number
  /** Slot the dead participant had. */
  slot: number
  /** Which tenant of the slot it was. */
  epoch: number
  /** Its process id. */
  pid: number
  /** Its name, see {@link OpenOptions.name}. */
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
  /**
   * Recoveries right before this one whose reports this participant has missed, because it did not look while the domain remembered them:
   * a domain remembers the last 128. What they came to is in {@link Snapshot.recovered}.
   */
  missed: number
}

/** Somebody has joined a domain, or has left it. */
export interface ParticipantReport {
  /** Number of the event in the domain, in the same order for everybody. */
  sequence: number
  /** Slot of the participant. */
  slot: number
  /** Which tenant of the slot it is: slot and epoch are of one participant for ever. */
  epoch: number
  /** Its process id. */
  pid: number
  /** Its name, see {@link OpenOptions.name}. */
  name: string
  /** When it was told, in ms since the Unix epoch. */
  atMs: number
  /**
   * Events right before this one that this participant has missed, because it did not look while the domain remembered them: a domain
   * remembers the last 256.
   */
  missed: number
}

/** How a participant has left: it was closed; its process or worker thread ended without that; it died, and has been recovered. */
export type LeaveReason = 'closed' | 'exited' | 'died'

/** Somebody has left a domain. */
export interface ParticipantLeft extends ParticipantReport {
  /** How. */
  reason: LeaveReason
  /** Exit code of its process or worker thread, if it has `exited` and that is known: it is not of a worker that was terminated. */
  code?: number
}

/** Something that has happened to a participant, as {@link ShmObserver.events} tells it. */
export type ParticipantEvent = ParticipantReport &
  (
    | {
        /** It has joined. */
        change: 'joined'
      }
    | {
        /** It has left in order: it was closed, or its process or worker thread ended without that. */
        change: 'closed' | 'exited'
        /** Exit code, if it has `exited` and that is known. */
        code?: number
      }
    | {
        /** It has died, and has been recovered. */
        change: 'died'
        /** What that came to. */
        recovery: RecoveryReport
      }
  )

/** A participant that is stalled: stopped by a signal, a debugger, a paused container. It is alive and keeps what it holds. */
export interface StallReport {
  /** Slot of the participant. */
  slot: number
  /** Which tenant of the slot it is. */
  epoch: number
  /** Its process id. */
  pid: number
  /** Its name, see {@link OpenOptions.name}. */
  name: string
  /** Where it is stalled. */
  phase: StallPhase
}

/**
 * How a participant came into its domain: it made it; others were in it; all who had been in it had died, and it made it anew; nobody was in
 * it, and what is in it was kept, because it persists or has a `SageQueue`.
 */
export type Opened = 'created' | 'attached' | 'recreated' | 'resumed'

/** What was in a domain that was made anew, because all who had been in it had died. */
export interface Discarded {
  /** Participants that had died. */
  participants: number
  /** Queues and topics. */
  queues: number
  /** Messages in queues and subscriptions, those that had been received and not acknowledged included. */
  messages: number
  /** Buffers that were in use. */
  buffers: number
}

/** Carries every {@link ParticipantReport} of somebody who has joined. */
export const participantJoined = channel('millrace:participant-joined')
/** Carries every {@link ParticipantLeft}. */
export const participantLeft = channel('millrace:participant-left')
/** Carries every {@link RecoveryReport}. */
export const participantLost = channel('millrace:participant-lost')
/** Carries every {@link StallReport}. */
export const participantStalled = channel('millrace:participant-stalled')
/** Carries who goes on after a {@link StallReport}. */
export const participantResumed = channel('millrace:participant-resumed')

/** @internal One event of the domain, as one of a manager. */
export type News =
  | { event: 'participant-joined'; report: ParticipantReport }
  | { event: 'participant-left'; report: ParticipantLeft }
  | { event: 'participant-lost'; report: RecoveryReport }

/** @internal Takes the events this participant has not seen, and publishes them. */
export function takeEvents(session: Session): News[] {
  const taken = session.events.takeUntold() as ParticipantEvent[]
  const { domain } = session
  const news = taken.flatMap(newsOf)
  for (const { event, report } of news) CHANNELS[event].publish({ domain, report })
  return news
}

const CHANNELS = {
  'participant-joined': participantJoined,
  'participant-left': participantLeft,
  'participant-lost': participantLost,
}

/** A death is two: that somebody has left, and what it came to. */
function newsOf(taken: ParticipantEvent): News[] {
  if (taken.change === 'died') {
    const { change, recovery, ...report } = taken
    return [
      { event: 'participant-left', report: { ...report, reason: change } },
      { event: 'participant-lost', report: recovery },
    ]
  }
  const { change, ...report } = taken
  return change === 'joined'
    ? [{ event: 'participant-joined', report }]
    : [{ event: 'participant-left', report: { ...report, reason: change } }]
}

/** @internal Tells who has come to a standstill and who goes on, from one look to the next. */
export class Stalls {
  readonly #session: Session
  #known = new Map<string, StallReport>()

  constructor(session: Session) {
    this.#session = session
  }

  /** Looks, and publishes what is new. Whoever died while it stood still does not go on: its recovery tells. */
  take(): { stalled: StallReport[]; resumed: StallReport[] } {
    const now = JSON.parse(this.#session.call((open) => open.takeStalled())) as StallReport[]
    const before = this.#known
    this.#known = new Map(now.map((report) => [keyOf(report), report]))
    const stalled = now.filter((report) => before.get(keyOf(report))?.phase !== report.phase)
    const gone = [...before].filter(([key]) => !this.#known.has(key))
    const alive = gone.length > 0 ? new Set(snapshotOf(this.#session).participants.map(keyOf)) : undefined
    const resumed = gone.filter(([key]) => alive?.has(key)).map(([, report]) => report)
    const { domain } = this.#session
    for (const report of stalled) participantStalled.publish({ domain, report })
    for (const report of resumed) participantResumed.publish({ domain, report })
    return { stalled, resumed }
  }
}

/** What a {@link ShmManager.trim} has given back. */
export interface TrimReport {
  /** Segments that were given back. */
  segments: number
  /** Bytes that they counted for against `maxBytes`. */
  bytes: number
}
