import { readFileSync } from 'node:fs'
import { drawFlow, type DrawingFormat, type Report, parseFlow } from '../../flow.js'
import { type Command, UsageError } from '../command.js'
import { readFlowFile } from '../flow-file.js'

const FORMATS = ['mermaid', 'dot', 'svg'] as const satisfies readonly DrawingFormat[]

/** Draws a flow. */
export const flowGraph: Command = {
  name: 'flow graph',
  parameters: ['<file>'],
  options: {
    format: { value: FORMATS.join('|'), values: FORMATS, summary: 'what to draw it as; default: mermaid' },
    report: { value: '<file>', summary: 'what `flow run --json` has printed, for its counts' },
  },
  summary: 'draw a flow, with the counts of a report of `flow run --json` if there is one',
  run({ positionals, values }) {
    const { format, report } = values
    const data = parseFlow(readFlowFile(positionals[0]!).text)
    const stats = report === undefined ? {} : readReport(report)
    process.stdout.write(drawFlow(data, { stats, ...(format !== undefined && { format: format as DrawingFormat }) }))
    return 0
  },
}

/** What all processes of a run have counted: a line of JSON each. */
function readReport(path: string): Report {
  try {
    const lines = readFileSync(path, 'utf8').trim().split('\n')
    const reports = lines.map((line) => JSON.parse(line) as Report)
    return { blocks: reports.flatMap(({ blocks }) => blocks), links: reports.flatMap(({ links }) => links) }
  } catch (error) {
    throw new UsageError(`cannot read report ${JSON.stringify(path)}: ${(error as Error).message}`)
  }
}
