import type { ParticipantId } from '../session/participant-id.js'
import { MillraceError } from '../errors.js'
import type { SharedBufferAllocator } from '../memory/allocator.js'
import type { Session } from '../session/session.js'
import { snapshotOf } from '../session/snapshot.js'
import type { Payload } from './payload.js'

/** What both sides of a service share. */
export interface Endpoint<Req, Res> {
  readonly name: string
  readonly session: Session
  readonly allocator: SharedBufferAllocator
  /** This participant. */
  readonly self: ParticipantId
  /** Handle of the queue of requests. */
  readonly queue: number
  readonly requests: Payload<Req>
  readonly replies: Payload<Res>
}

/** What a call needs of it. */
export type CallEndpoint<Res> = Pick<Endpoint<never, Res>, 'name' | 'session' | 'replies'>

/** The error of whatever ends, or begins, after this participant closed the service. */
export function closedHere(service: string): MillraceError {
  return new MillraceError('ERR_MILLRACE_CLOSED', `service "${service}" was closed here`)
}

/**
 * The error of a request that cannot be known to have ended: the server in `slot` was running it, of whose epoch at least the low half is
 * known. Does not throw.
 */
export function serverLost(
  { name, session }: Pick<Endpoint<never, never>, 'name' | 'session'>,
  slot: number,
  epoch: number,
): MillraceError {
  const who = nameOf(session, (one) => one.slot === slot && (one.epoch & 0xffff) === (epoch & 0xffff))
  return new MillraceError(
    'ERR_MILLRACE_SERVER_LOST',
    `the server of service "${name}" that was running the request, participant ${slot}${who}, is gone: the request may or may not have had its effect; ` +
      'if it may be run again, say so by request(value, { retry: 1 })',
  )
}

function nameOf(session: Session, isIt: (one: ParticipantId) => boolean): string {
  try {
    const server = session.events.findLeft(isIt) ?? snapshotOf(session).participants.find(isIt)
    return server === undefined ? '' : `, "${server.name}" (process ${server.pid})`
  } catch {
    // The domain is damaged: that the server is gone is true all the same.
    return ''
  }
}
