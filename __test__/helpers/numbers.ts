// Numbers that go through flows, in tests and in the programs that they start.
import { type } from '../../flow.js'

export const number = type<number>('json', { name: 'number' })

/** 0 and the numbers after it, below `to`. */
export function* count(to = Infinity): Generator<number> {
  for (let i = 0; i < to; i++) yield i
}
