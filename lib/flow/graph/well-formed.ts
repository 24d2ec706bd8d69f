import type { BlockData, FlowData, LinkData } from './data.js'
import type { FlowFault } from './fault.js'

/** A flow as data as far as its structure is right; entries of lists are in their places. */
export interface WellFormed extends Omit<FlowData, 'blocks' | 'links'> {
  readonly blocks: readonly BlockData[]
  /** undefined: it says no ends. */
  readonly links: readonly (LinkData | undefined)[]
}

/** What of `data` can be looked at further in spite of the faults of its structure. */
export function wellFormed(data: unknown, faults: readonly FlowFault[]): WellFormed {
  const isRight = (...path: (string | number)[]) =>
    !faults.some((fault) => path.every((key, at) => fault.path[at] === key))
  const given = (data ?? {}) as Record<keyof FlowData, unknown>
  const listOf = (key: 'blocks' | 'links') => (Array.isArray(given[key]) ? (given[key] as unknown[]) : [])
  const blocks = listOf('blocks').map((block, at): BlockData => {
    if (isRight('blocks', at)) return block as BlockData
    const { name, process } = (block ?? {}) as Record<string, unknown>
    const called = typeof name === 'string' ? name : `blocks[${at}]`
    return typeof process === 'string' ? { name: called, process } : { name: called }
  })
  const links = listOf('links').map((link, at) => {
    if (isRight('links', at)) return link as LinkData
    const { from, to } = (link ?? {}) as Record<string, unknown>
    return typeof from === 'string' && typeof to === 'string' ? { from, to } : undefined
  })
  const rest = Object.entries(given).filter(([key]) => isRight(key))
  return { ...(Object.fromEntries(rest) as unknown as FlowData), blocks, links }
}
