// Who has run a request, and whether it is still wanted. Changed by native code only: JavaScript's atomics are none between processes.
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { nameToSend } from '../memory/buffer-ptr.js'
import { CANCELLED, CLAIM_CANCELLED, CLAIM_RUN, RUNNER, RUNNER_EPOCH, RUNS } from '../native/generated/block.js'
import { STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { Session } from '../session/session.js'

/** Whoever began the last run of a request, as far as its state has room for it. */
export interface Runner {
  readonly slot: number
  /** Low half of its epoch. */
  readonly epochLow: number
}

/** What has become of a request so far. */
export interface RequestState {
  /** No run begins any more. */
  readonly cancelled: boolean
  /** Runs begun. */
  readonly runs: number
  /** Undefined: nobody yet. */
  readonly runner: Runner | undefined
}

/** How a server's claim to run a request ended: the number of the run, or why there will be none. */
export type Claim = number | 'cancelled' | 'exhausted'

/** Begins a run of `request` by this participant, unless it is cancelled or has been run `runsMax` times. */
export function claim(session: Session, request: BufferPtr, runsMax: number): Claim {
  nameToSend(0, request, session)
  check(session, native.claim(session.handle, runsMax))
  const outcome = native.claimOutcome()
  if (outcome === CLAIM_RUN) return native.requestWord(RUNS)
  return outcome === CLAIM_CANCELLED ? 'cancelled' : 'exhausted'
}

/** Says that nobody wants `request` any more: no run begins after this. Returns the state it was in. */
export function cancel(session: Session, request: BufferPtr): RequestState {
  nameToSend(0, request, session)
  check(session, native.cancel(session.handle))
  return stateInBlock()
}

/** What has become of `request` so far. */
export function inspect(session: Session, request: BufferPtr): RequestState {
  nameToSend(0, request, session)
  check(session, native.inspect(session.handle))
  return stateInBlock()
}

function check(session: Session, status: native.Status): void {
  if (status !== STATUS_OK) throw session.failure(status, 'a request')
}

function stateInBlock(): RequestState {
  const runner = native.requestWord(RUNNER)
  return {
    cancelled: native.requestWord(CANCELLED) !== 0,
    runs: native.requestWord(RUNS),
    runner: runner === 0 ? undefined : { slot: runner - 1, epochLow: native.requestWord(RUNNER_EPOCH) },
  }
}
