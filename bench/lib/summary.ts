import type { ContenderResult, Report } from './result.js'

/** What is kept of a run for good: every figure of every contender but its single rounds and histograms. One row a line. */
export function summaryOf({ rows, ...about }: Report): string {
  const lines = rows.map(({ id, unit, contenders, targets }) => {
    const results = contenders.map((result) => figuresOf(result))
    return `  ${JSON.stringify({ id, unit, contenders: results, targets })}`
  })
  const head = JSON.stringify(about, null, 1).slice(0, -2)
  return `${head},\n "rows": [\n${lines.join(',\n')}\n ]\n}\n`
}

function figuresOf({ name, median, min, max, latency, cpuPerMillion, rssMib, skipped }: ContenderResult) {
  if (skipped !== undefined) return { name, skipped: skipped.split('\n')[0] }
  return { name, median, min, max, p99: latency?.p99, cpuPerMillion, rssMib }
}
