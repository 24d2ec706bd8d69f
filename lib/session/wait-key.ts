import { KIND_DATA, KIND_POOL, KIND_SPACE, QUEUE_POOL } from '../native/generated/block.js'

/** What can be waited for: data or space in a queue, or `bytes` of pool. */
export interface Target {
  readonly queue: number
  readonly kind: number
  readonly bytes: number
  readonly key: number
}

/** The next message of `queue`; also its creation and its end. */
export function dataIn(queue: number): Target {
  return { queue, kind: KIND_DATA, bytes: 0, key: queueKey(queue, KIND_DATA) }
}

/** Room for a message in `queue`; also its creation and its end. */
export function spaceIn(queue: number): Target {
  return { queue, kind: KIND_SPACE, bytes: 0, key: queueKey(queue, KIND_SPACE) }
}

/** A free buffer of `bytes`. */
export function spaceInPool(bytes: number): Target {
  return { queue: QUEUE_POOL, kind: KIND_POOL, bytes, key: -1 - bytes }
}

/** Finds waits for a queue by what a ring says of it. */
export function queueKey(queue: number, kind: number): number {
  return queue * 2 + kind
}
