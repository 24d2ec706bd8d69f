// What the tests of flows share: numbers, and that nothing is left.
import type { ExecutionContext } from 'ava'
import type { ShmManager } from '../../index.js'
import { buffersInUse } from './domain.js'

export { count, number } from './numbers.js'

/** No queue and no buffer of a flow is left. */
export function nothingLeft(t: ExecutionContext, shm: ShmManager): void {
  t.deepEqual(Object.keys(shm.stats().queues), [])
  t.is(buffersInUse(shm), 0)
}
