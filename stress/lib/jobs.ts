// What participants are started with, are asked for, and answer.
import type { Tally } from '../../__test__/fixtures/tally.js'

/** What goes wrong with a participant on purpose, so that it shows whether that is found. */
export const FAULTS = {
  lose: 'a message that came is not counted',
  repeat: 'a message that came is counted twice',
  damage: 'a byte of a message is changed',
  swap: 'two messages are counted in the wrong order',
  hold: 'a buffer is not released',
  memory: 'memory of the process grows',
  descriptors: 'descriptors are opened and not closed',
  throw: 'a participant fails',
  die: 'a participant is killed',
} as const satisfies Record<string, string>

export type Fault = keyof typeof FAULTS

/** What a participant is started with. */
export interface ParticipantJob {
  readonly directory: string
  readonly domain: string
  /** How long the run takes. */
  readonly seconds: number
  readonly fault?: Fault
}

/** By what messages travel. */
export type Kind = 'sage' | 'queue' | 'topic'

/** Where a stream goes through. */
export interface Ways {
  readonly kind: Kind
  readonly names: readonly string[]
  /** Messages that each holds, for each receiver if it is a topic. */
  readonly capacity: number
}

/** Sends messages to all ways in turn. */
export interface SendJob {
  readonly ways: Ways
  /** Goes into every message. */
  readonly sender: number
  /** Their sizes, in turn. */
  readonly bytes: readonly number[]
  /** So many at a time, with pauses of {@link BURST_PAUSE_MS} between. */
  readonly burst?: number
  /** Messages to send; none: until it is told to stop. */
  readonly count?: number
}

/** By way, what was sent there. */
export type Sent = Record<string, Tally>

/** What came. */
export interface Received {
  /** By way and sender. */
  readonly tallies: Record<string, Record<number, Tally>>
  /** µs from before a message was sent to when it was here, of some of them. */
  readonly latencies: Float64Array
}

/** What a process has. */
export interface Possessions {
  readonly rssBytes: number
  /** null: the system does not say. */
  readonly descriptors: number | null
}

/** What a participant has, and has done so far. */
export interface Look extends Possessions {
  readonly messages: number
}

/** What came of queues that are made and destroyed again and again. */
export interface Lives {
  readonly made: number
  readonly destroyed: number
  /** Values that were right. */
  readonly values: number
  readonly problems: readonly string[]
}

/** Requests of one client, or those that one server answered. */
export interface Answered {
  readonly count: number
  readonly wrong: number
  readonly latencies: Float64Array
}

/** Time between two bursts. */
export const BURST_PAUSE_MS = 50
