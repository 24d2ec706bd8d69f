// What the tests of flows share: a type of port, values, and that nothing is left.
import type { ExecutionContext } from 'ava'
import { type } from '../../flow.js'
import type { ShmManager } from '../../index.js'
import { buffersInUse } from './domain.js'

export const number = type<number>('json', { name: 'number' })

/** 0 and the numbers after it, below `to`. */
export function* count(to = Infinity): Generator<number> {
  for (let i = 0; i < to; i++) yield i
}

/** No queue and no buffer of a flow is left. */
export function nothingLeft(t: ExecutionContext, shm: ShmManager): void {
  t.deepEqual(Object.keys(shm.stats().queues), [])
  t.is(buffersInUse(shm), 0)
}
