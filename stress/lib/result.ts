// What a run comes to, as its JSON file has it.
import type { Latency, Report as BenchReport } from '../../bench/lib/result.js'
import type { Growth, Sample } from './watch.js'

/** What a scenario came to. */
export interface Result {
  readonly scenario: string
  readonly title: string
  readonly processes: number
  readonly seconds: number
  /** Messages that were received, requests that were answered, queues that were destroyed. */
  readonly messages: number
  readonly perSecond: number
  /** µs from before a message was sent to when it was received, its wait in the queue included; of requests, until the reply. */
  readonly latency: Omit<Latency, 'buckets'> | null
  readonly samples: readonly Sample[]
  readonly growth: Growth | null
  /** What each participant did, by what it was asked for. */
  readonly participants: readonly ParticipantResult[]
  /** How it stands to the baseline; null: there is none that it can be compared with. */
  readonly baseline: Comparison | null
  /** What is not as it must be: nothing. */
  readonly problems: readonly string[]
}

/** What a participant did. */
export interface ParticipantResult {
  readonly name: string
  readonly role: string
  readonly messages: number
  /** How it failed, if it did. */
  readonly error: string | null
}

/** Ratios to the baseline: above 1 is more. */
export interface Comparison {
  readonly perSecond: number
  readonly p50: number | null
}

/** A result file. */
export interface Report extends Pick<BenchReport, 'date' | 'commit' | 'modified' | 'command' | 'machine'> {
  readonly results: readonly Result[]
}
