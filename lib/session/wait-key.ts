import { KIND_DATA, KIND_IDLE, KIND_POOL, KIND_SPACE, QUEUE_POOL } from '../native/generated/block.js'

/** What can be waited for: data or space in a queue, all of it being over, or `bytes` of pool. */
export interface WaitKey {
  readonly queue: number
  readonly kind: number
  readonly bytes: number
  /** Tells one from another: the same for the same thing. */
  readonly id: number
}

/** Kinds of waits at one queue, at most. */
const KINDS = 4

/** The next message of `queue`; also its creation and its end. */
export function dataIn(queue: number): WaitKey {
  return { queue, kind: KIND_DATA, bytes: 0, id: waitId(queue, KIND_DATA) }
}

/** Room for a message in `queue`; also its creation and its end. */
export function spaceIn(queue: number): WaitKey {
  return { queue, kind: KIND_SPACE, bytes: 0, id: waitId(queue, KIND_SPACE) }
}

/** Nothing to be done at `queue`: no message in it, and none that is not acknowledged; also its end. */
export function idleAt(queue: number): WaitKey {
  return { queue, kind: KIND_IDLE, bytes: 0, id: waitId(queue, KIND_IDLE) }
}

/** A free buffer of `bytes`. */
export function spaceInPool(bytes: number): WaitKey {
  return { queue: QUEUE_POOL, kind: KIND_POOL, bytes, id: -1 - bytes }
}

/** Finds waits at a queue by what native code reports of it. */
export function waitId(queue: number, kind: number): number {
  return queue * KINDS + kind
}
