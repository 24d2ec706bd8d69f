import type { OptionNames } from '../../check.js'
import { checkObject, checkOptions, checkWord } from '../../check.js'
import type { Report } from '../block/stats.js'
import type { FlowData } from './data.js'
import { dotOf } from './dot.js'
import { faultsError } from './fault.js'
import { mermaidOf } from './mermaid.js'
import { shapeOf } from './shape.js'
import { structureFaults } from './structure.js'
import { svgOf } from './svg.js'

/** What a drawing is written in. */
export type DrawingFormat = (typeof FORMATS)[number]
const FORMATS = ['mermaid', 'dot', 'svg'] as const
const DRAW = [mermaidOf, dotOf, svgOf]

/** Options of {@link drawFlow}. */
export interface DrawOptions {
  /** What it is written in. Default: `mermaid`. */
  format?: DrawingFormat
  /** What has been counted of a run: `run.stats()`. */
  stats?: Partial<Report>
}

const DRAW_OPTIONS: OptionNames<DrawOptions> = { format: true, stats: true }

/**
 * Draws a flow: blocks as boxes, native ones with corners and those of JavaScript rounded, in the boxes of their processes; links with their
 * ports, unless those are `out` and `in`, and options.
 * @returns text of Mermaid, of DOT, or an SVG image
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`: the structure of the data is wrong
 */
export function drawFlow(flow: FlowData | { toJSON(): FlowData }, options: DrawOptions = {}): string {
  const { format = 'mermaid', stats = {} } = checkOptions('a drawing', options, DRAW_OPTIONS)
  const draw = DRAW[checkWord('format', format, FORMATS)]!
  const data = 'toJSON' in flow ? flow.toJSON() : flow
  const faults = structureFaults(data)
  if (faults.length > 0) throw faultsError((data as Partial<FlowData> | null)?.name, faults)
  return draw(shapeOf(data, checkObject('stats', stats)))
}
