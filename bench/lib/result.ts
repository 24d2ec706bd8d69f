/** Quantiles of a latency, in µs, and its histogram. */
export interface Latency {
  readonly count: number
  readonly min: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  /** Pairs of a bucket's lower bound in µs and what fell into it; eight buckets for each doubling, empty ones left out. */
  readonly buckets: readonly (readonly [number, number])[]
}

/** One measurement of one contender: one round. */
export interface Sample {
  /** In the unit of its row. */
  readonly value: number
  /** CPU seconds, user and system, of all processes that took part, for a million messages. */
  readonly cpuPerMillion?: number
  /** Resident memory of these processes at the end, in MiB; shared pages count in each. */
  readonly rssMib?: number
  readonly latency?: Latency
}

/** Smallest, middle and largest of a row's rounds. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** What all rounds of one contender came to. */
export interface ContenderResult extends Spread {
  readonly name: string
  readonly values: readonly number[]
  readonly cpuPerMillion?: number
  readonly rssMib?: number
  /** Medians of the quantiles, sums of the buckets. */
  readonly latency?: Latency
  /** Rounds that failed and were measured again. */
  readonly repeated?: number
  /** Why it was not measured; the numbers are 0 then. */
  readonly skipped?: string
}

/** How a row stands to one of its targets. */
export interface TargetResult {
  readonly text: string
  /** What the target compares: a ratio to an anchor, or a figure in the row's unit. */
  readonly actual: number | null
  /** Null when an anchor is absent. */
  readonly met: boolean | null
}

/** Units of a row's figures. */
export type Unit = 'msg/s' | 'GB/s' | 'us' | 'ns' | 'ms' | '% of a core'

/** One line of the table. */
export interface RowResult {
  readonly id: string
  readonly scenario: string
  readonly title: string
  readonly unit: Unit
  readonly better: 'higher' | 'lower'
  readonly contenders: readonly ContenderResult[]
  readonly targets: readonly TargetResult[]
  /** Figures measured elsewhere, for the eye. */
  readonly beside?: string
}

/** What machine, what versions. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGib: number
  readonly kernel: string
  readonly node: string
  readonly rust: string | null
  readonly peers: Readonly<Record<string, string>>
  /** Load average over one minute when the run began: others may have used the cores too. */
  readonly load: number
}

/** A result file. */
export interface Report {
  readonly date: string
  readonly commit: string
  /** Whether files of the tree differed from the commit. */
  readonly modified: boolean
  readonly command: string
  readonly rounds: number
  readonly machine: Machine
  readonly rows: readonly RowResult[]
}
