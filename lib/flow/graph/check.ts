import type { FlowLinkOptions } from '../block/options.js'
import type { PlacedBlock } from '../wiring/flow-rules.js'
import { flowFaults } from '../wiring/flow-rules.js'
import type { Linked } from '../wiring/link-rules.js'
import { unlinkedPorts } from '../wiring/link-rules.js'
import { circleFaults } from './circles.js'
import type { FlowFault } from './fault.js'
import { faultsError } from './fault.js'
import { sizeFaults } from './limits.js'

/** A flow that is to be started. */
interface CheckedFlow {
  readonly name: string
  readonly blocks: readonly PlacedBlock[]
  readonly links: readonly (Linked & { readonly options: FlowLinkOptions })[]
  /** Bytes that buffers of its domain may take. */
  readonly maxBytes: number
}

/** @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, with all that is wrong with the flow */
export function checkFlow({ name, blocks, links, maxBytes }: CheckedFlow): void {
  const all = blocks.map(({ block }) => block)
  const used = new Set(links.flatMap(({ from, to }) => [from, to]))
  const unlinked = all.flatMap((block) => unlinkedPorts(block, (port) => used.has(port)))
  const found = [...unlinked, ...flowFaults(name, blocks, links)]
  const steps = links.map(({ from, to, options: { feedback = false } }, at) => ({
    at,
    label: `${from.label} → ${to.label}`,
    from: from.owner.name,
    to: to.owner.name,
    isFeedback: feedback,
  }))
  const faults = [
    ...found.map(({ block, message }): FlowFault => ({ message, path: ['blocks', all.indexOf(block)] })),
    ...circleFaults(steps),
    ...sizeFaults(all, maxBytes),
  ]
  if (faults.length > 0) throw faultsError(name, faults)
}
