import type { ParticipantId } from '../session/participant-id.js'
import { MillraceError } from '../errors.js'
import type { SharedBufferAllocator } from '../memory/allocator.js'
import type { Session } from '../session/session.js'
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

/** The error of whatever ends, or begins, after this participant closed the service. */
export function closedHere(service: string): MillraceError {
  return new MillraceError('ERR_MILLRACE_CLOSED', `service "${service}" was closed here`)
}

/** The error of a request that cannot be known to have ended. */
export function serverLost(service: string): MillraceError {
  return new MillraceError(
    'ERR_MILLRACE_SERVER_LOST',
    `the server of service "${service}" that was running the request is gone: the request may or may not have had its effect; ` +
      'if it may be run again, say so by request(value, { retry: 1 })',
  )
}
