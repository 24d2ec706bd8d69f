import type { ContenderResult, RowResult, Unit } from './result.js'

/** A row as text: its contenders, the ratio of the subject to each of them, and how it stands to its targets. */
export function formatRow(row: RowResult): string {
  const [subject] = row.contenders
  const lines = [`${row.title}  (${row.id})`, ...row.contenders.map((result) => line(row, subject!, result))]
  if (row.beside !== undefined) lines.push(`    beside: ${row.beside}`)
  for (const { text, actual, met } of row.targets) {
    if (actual === null || met === null) lines.push(`    target ${text}: not measured, its anchor is absent`)
    else lines.push(`    target ${text}: ${number(actual)} ${met ? '✓' : '✗ MISSED'}`)
  }
  return lines.join('\n')
}

function line(row: RowResult, subject: ContenderResult, result: ContenderResult): string {
  const name = `  ${nameOf(result)}`.padEnd(38)
  if (result.skipped !== undefined) return `${name}skipped: ${result.skipped}`
  const figures = [
    formatFigure(result.median, row.unit).padStart(14),
    ` (${number(scaled(result.min, row.unit))} … ${number(scaled(result.max, row.unit))})`.padEnd(20),
    (result.latency ? ` p99 ${number(result.latency.p99)} us` : '').padEnd(15),
    result.cpuPerMillion === undefined ? ''.padEnd(18) : ` CPU ${number(result.cpuPerMillion)} s/M`.padEnd(18),
    result.rssMib === undefined ? ''.padEnd(10) : ` ${result.rssMib} MiB`.padEnd(10),
  ]
  if (result !== subject && subject.skipped === undefined) figures.push(` ${ratio(row, subject, result)}`)
  return `${name}${figures.join('')}`.trimEnd()
}

/** Who was measured, and whether a round had to be repeated. */
export function nameOf({ name, repeated }: ContenderResult): string {
  return repeated === undefined ? name : `${name} (failed rounds repeated: ${repeated})`
}

/** How many times better the subject is. */
function ratio({ better }: RowResult, subject: ContenderResult, anchor: ContenderResult): string {
  const times = better === 'higher' ? subject.median / anchor.median : anchor.median / subject.median
  return `× ${number(times)}`
}

/** A figure with its unit, in thousands or millions where that is shorter. */
export function formatFigure(value: number, unit: Unit): string {
  return `${number(scaled(value, unit))} ${unit === 'msg/s' ? `${prefix(value)} msg/s`.trimStart() : unit}`
}

/** Three digits that mean something. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value === 0) return '0'
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3
  return Number(value.toPrecision(3)).toFixed(digits)
}

function scaled(value: number, unit: Unit): number {
  return unit === 'msg/s' ? value / { M: 1e6, k: 1e3, '': 1 }[prefix(value)] : value
}

function prefix(value: number): 'M' | 'k' | '' {
  return value >= 1e6 ? 'M' : value >= 1e3 ? 'k' : ''
}
