import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_NOT_HELD, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { Session } from '../session/session.js'

/** Releases the references that have been named in the command block; leased ones are acknowledged. */
export function releaseNamed(session: Session, named: number): void {
  if (session.closed) return
  const status = native.release(session.handle, named)
  if (status !== STATUS_OK) throw session.failure(status, 'a buffer')
}

/** Releases references of our own that no object stands for. */
export function releaseIds(session: Session, ids: ArrayLike<number>): void {
  for (let done = 0; done < ids.length;) {
    const named = Math.min(ids.length - done, BATCH_MAX)
    for (let i = 0; i < named; i++) native.setId(i, ids[done + i]!, 0)
    releaseNamed(session, named)
    done += named
  }
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
