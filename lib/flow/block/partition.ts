import { invalidArgument } from '../../errors.js'
import { hashOf } from './type.js'

/** By what messages are divided among the replicas of a block. */
export type PartitionKey = string | number | bigint | boolean

/** The key of a value that comes at `input`. */
export type PartitionBy<in T> = (value: T, input: string) => PartitionKey

const KEYS = new Set(['string', 'number', 'bigint', 'boolean'])

/** Which of `count` replicas gets the messages of `key`: the same in every process. `what` has computed it. */
export function partitionOf(what: string, key: PartitionKey, count: number): number {
  if (!KEYS.has(typeof key)) throw invalidArgument(what, 'a text, a number, or true or false', key)
  // The finalizer of MurmurHash3: a remainder needs low bits that depend on all of the key. The constant is 2^32 / φ: without one, all
  // digits went to the second of two.
  let hash = hashOf(String(key)) ^ 0x9e3779b9
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) % count
}
