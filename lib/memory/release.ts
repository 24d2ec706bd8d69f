import { STATUS_NOT_HELD, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { Session } from '../session/session.js'

/** Releases the references that have been named in the command block; leased ones are acknowledged. */
export function releaseNamed(session: Session, named: number): void {
  if (session.closed) return
  const status = native.release(session.handle, named)
  if (status !== STATUS_OK) throw session.failure(status, 'a buffer')
}

/** Gives message `id` back to its queue. One that has no lease, or whose queue is gone, is released. */
export function giveBack(session: Session, id: number, lease: number): void {
  if (session.closed) return
  native.setId(0, id, lease)
  const status = native.nack(session.handle, 1)
  if (status === STATUS_OK) return
  if (status !== STATUS_NOT_HELD) throw session.failure(status, `buffer ${id}`)
  // It is still named.
  releaseNamed(session, 1)
}
