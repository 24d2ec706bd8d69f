// What a run of a flow has come to, as people and programs read it.
import type { BlockStats, Flow, Run } from '../flow.js'
import type { MillraceError } from '../index.js'

/** One line of JSON, or a table of the blocks of this process. */
export function told(flow: Flow, run: Run, error: MillraceError | undefined, json: boolean): string {
  const { blocks, links } = run.stats()
  const { name, process = null } = flow
  const { lost, processes } = run
  if (json) {
    const failure = error === undefined ? null : { code: error.code, message: error.message }
    return JSON.stringify({
      flow: name,
      process,
      blocks,
      links,
      processes: Object.values(processes),
      lost,
      error: failure,
    })
  }
  const where = process === null ? `flow ${name}` : `flow ${name}, process ${process}`
  const others = Object.values(processes).map((one) => {
    const { code, signal } = one.lastExit ?? {}
    return `process ${one.name}: ${one.phase}, ${signal ?? `exit code ${code}`}, ${one.restarts} restarts`
  })
  const end = error === undefined ? [] : [`${error.code}: ${error.message}`]
  return [`${where}: ${lost} messages lost`, ...table(blocks), ...others, ...end].join('\n')
}

const COLUMNS: readonly [heading: string, cell: (block: BlockStats) => string][] = [
  ['block', ({ name }) => name],
  ['state', ({ state }) => state],
  ['in', ({ itemsIn }) => `${itemsIn}`],
  ['out', ({ itemsOut }) => `${itemsOut}`],
  ['failed', ({ skipped, deadLettered }) => `${skipped + deadLettered}`],
  ['dropped', ({ gaps }) => `${gaps}`],
  ['lost', ({ lost }) => `${lost}`],
  ['busy', ({ busy }) => `${busy.toFixed(1)} ms`],
]

function table(blocks: readonly BlockStats[]): string[] {
  const rows = [COLUMNS.map(([heading]) => heading), ...blocks.map((block) => COLUMNS.map(([, cell]) => cell(block)))]
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)))
  // Names and states to the left, numbers to the right.
  return rows.map((row) =>
    row.map((cell, at) => (at < 2 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('  '),
  )
}
