import type { Report, RowResult } from './result.js'
import { formatFigure, nameOf, number } from './table.js'

const END = '<!-- bench:end -->'

/** Which marks of a document a section is between. */
export type Part = 'core' | 'flows'

/** Puts `section` between the marks of `part` in a document. */
export function replaceSection(document: string, part: Part, section: string): string {
  const opening = `<!-- bench:begin ${part}, written by npm run bench:charts -->`
  const begin = document.indexOf(opening)
  const end = document.indexOf(END, begin)
  if (begin < 0 || end < begin) throw new Error(`the document lacks the marks ${opening} and ${END}`)
  return `${document.slice(0, begin + opening.length)}\n\n${section}\n${document.slice(end)}`
}

/** Every row with all its contenders. */
export function markdownOf(report: Report): string {
  const scenarios = [...new Set(report.rows.map(({ scenario }) => scenario))]
  const sections = scenarios.map((scenario) => {
    const rows = report.rows.filter((row) => row.scenario === scenario)
    return [`### ${scenario}`, `\`npm run bench -- --only ${scenario}\``, ...rows.map(rowTable)].join('\n\n')
  })
  return [origin(report), ...sections, ''].join('\n\n')
}

/** The rows that the README shows, in this order: what people ask first, and one that others are better at. */
const README_ROWS = ['copied-64b', 'handover-batches', 'round-trip-parked', 'recovery-return', 'idle-cpu']

/** Those of {@link README_ROWS} that were measured, with the best anchor beside. */
export function readmeTable(report: Report): string {
  const chosen = README_ROWS.flatMap((id) => report.rows.filter((row) => row.id === id))
  const rows = chosen.map((row) => [row.title, formatFigure(row.contenders[0]!.median, row.unit), bestAnchor(row)])
  return `${table(['what', 'Millrace', 'best beside it'], rows)}\n\n${origin(report)}\n`
}

function origin({ command, date, commit, modified, machine, rounds }: Report): string {
  const { cpu, cores, kernel, node, load } = machine
  return (
    `\`${command}\` on ${date.slice(0, 10)}, commit ${commit}${modified ? ' with changes' : ''}: ` +
    `${cores} cores of ${cpu}, Linux ${kernel}, Node.js ${node.slice(1)}, load average ${load} at the start. ` +
    `Medians of ${rounds} rounds.`
  )
}

function rowTable(row: RowResult): string {
  const body = row.contenders.map((result) => {
    const { name, median, min, max, latency, cpuPerMillion, rssMib, skipped } = result
    return skipped === undefined
      ? [
          nameOf(result),
          formatFigure(median, row.unit),
          `${formatFigure(min, row.unit)} … ${formatFigure(max, row.unit)}`,
          latency === undefined ? '' : `${number(latency.p99)} us`,
          cpuPerMillion === undefined ? '' : number(cpuPerMillion),
          rssMib === undefined ? '' : String(rssMib),
        ]
      : [name, 'skipped', skipped.split('\n')[0]!, '', '', '']
  })
  const targets = row.targets.map(({ text, actual, met }) => `- ${mark(met)} ${text}: ${show(actual)}`)
  return [
    `**${row.title}** (\`${row.id}\`)`,
    table(['', 'median', 'min … max', 'p99', 'CPU s per million', 'RSS MiB'], body),
    ...(targets.length > 0 ? [targets.join('\n')] : []),
    ...(row.beside === undefined ? [] : [`Beside: ${row.beside}.`]),
  ].join('\n\n')
}

function bestAnchor({ contenders, better, unit }: RowResult): string {
  const anchors = contenders.slice(1).filter(({ skipped }) => skipped === undefined)
  const [best] = anchors.toSorted((a, b) => (better === 'higher' ? b.median - a.median : a.median - b.median))
  return best === undefined ? '' : `${best.name}: ${formatFigure(best.median, unit)}`
}

function mark(met: boolean | null): string {
  return met === null ? '-' : met ? '✓' : '✗'
}

function show(actual: number | null): string {
  return actual === null ? 'not measured' : number(actual)
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...body].map(line).join('\n')
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
