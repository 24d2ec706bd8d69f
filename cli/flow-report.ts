// What a run of a flow has come to, as people and programs read it.
import type { BlockStats, Flow, Run } from '../flow.js'
import type { MillraceError } from '../index.js'
import { type Column, table } from './table.js'

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
  return [`${where}: ${lost} messages lost`, ...table(blocks, COLUMNS), ...others, ...end].join('\n')
}

const COLUMNS: readonly Column<BlockStats>[] = [
  ['block', ({ name }) => name],
  ['state', ({ state }) => state],
  ['in', ({ itemsIn }) => itemsIn],
  ['out', ({ itemsOut }) => itemsOut],
  ['failed', ({ skipped, deadLettered }) => skipped + deadLettered],
  ['dropped', ({ gaps }) => gaps],
  ['lost', ({ lost }) => lost],
  ['busy', ({ busy }) => `${busy.toFixed(1)} ms`],
]
