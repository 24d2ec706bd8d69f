import type { QueueStats } from '../session/snapshot.js'
import { maxsizeOf } from './work-queue.js'

/** A queue of a namespace, as {@link SageQueueManager.list} tells. */
export interface SageQueueEntry {
  /** Its name in the namespace. */
  name: string
  /** Values it holds. */
  maxsize: number
  /** Name of its codec. */
  codec: string
  /** Values in it. */
  size: number
  /** Values that were got and are not finished. */
  inWork: number
  /** Whether it was shut down. */
  closed: boolean
  /** Participants (processes, worker threads) that have it open. */
  attached: number
}

/** What a {@link SageQueue} is now; the counters are of all processes together. */
export interface SageQueueStats extends SageQueueEntry {
  /** The tenant it belongs to; empty: none. */
  namespace: string
  /** Of the values in work, those of this end. */
  inWorkHere: number
  /** Values ever put. */
  put: number
  /** Values ever got, each once however often it was delivered. */
  got: number
  /** Deliveries that were not the first. */
  redelivered: number
}

/** What is told of a queue in a list. */
export function entryOf(stats: QueueStats): SageQueueEntry {
  const { name, codec, depth, leased, closed, attached } = stats
  return { name, maxsize: maxsizeOf(stats), codec, size: depth, inWork: leased, closed, attached }
}
