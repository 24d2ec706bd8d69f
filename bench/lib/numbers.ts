import type { Latency, Spread } from './result.js'

/** The value at `quantile` (0 … 1) of values in ascending order. */
export function quantileOf(ascending: ArrayLike<number>, quantile: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(quantile * ascending.length))] ?? Number.NaN
}

/** The middle value, the mean of the middle two if there is none. */
export function medianOf(values: readonly number[]): number {
  const ascending = values.toSorted((a, b) => a - b)
  const middle = ascending.length >> 1
  return ascending.length % 2 === 1 ? ascending[middle]! : (ascending[middle - 1]! + ascending[middle]!) / 2
}

/** Smallest, middle and largest of `values`. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: medianOf(values), min: Math.min(...values), max: Math.max(...values) }
}

const BUCKETS_PER_DOUBLING = 8

/** Quantiles and histogram of `samples`, in µs. */
export function latencyOf(samples: Float64Array): Latency {
  const ascending = samples.toSorted()
  const counts = new Map<number, number>()
  for (const sample of ascending) {
    const bucket = Math.floor(Math.log2(Math.max(sample, 0.01)) * BUCKETS_PER_DOUBLING)
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  }
  return {
    count: ascending.length,
    min: ascending[0]!,
    p50: quantileOf(ascending, 0.5),
    p90: quantileOf(ascending, 0.9),
    p99: quantileOf(ascending, 0.99),
    p999: quantileOf(ascending, 0.999),
    max: ascending.at(-1)!,
    buckets: [...counts].map(([bucket, count]) => [round(2 ** (bucket / BUCKETS_PER_DOUBLING)), count]),
  }
}

/** The latencies of several rounds as one: medians of the quantiles, sums of the buckets. */
export function mergeLatencies(rounds: readonly Latency[]): Latency {
  const middle = (pick: (latency: Latency) => number) => round(medianOf(rounds.map(pick)))
  const counts = new Map<number, number>()
  for (const { buckets } of rounds) {
    for (const [from, count] of buckets) counts.set(from, (counts.get(from) ?? 0) + count)
  }
  return {
    count: rounds.reduce((sum, { count }) => sum + count, 0),
    min: round(Math.min(...rounds.map(({ min }) => min))),
    p50: middle(({ p50 }) => p50),
    p90: middle(({ p90 }) => p90),
    p99: middle(({ p99 }) => p99),
    p999: middle(({ p999 }) => p999),
    max: round(Math.max(...rounds.map(({ max }) => max))),
    buckets: [...counts].toSorted(([a], [b]) => a - b),
  }
}

/** Four digits: more would only pretend. */
export function round(value: number): number {
  return Number(value.toPrecision(4))
}
