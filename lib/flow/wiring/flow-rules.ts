import type { Block } from '../block/block.js'
import { isByReference } from '../block/js-port.js'
import type { InputPort, OutputPort } from '../block/port.js'
import { betweenProcesses } from '../js/by-reference.js'
import { LogsBlock } from '../js/logs.js'
import type { BlockFault, Linked } from './link-rules.js'
import type { Place } from './places.js'

/** A block, and where it runs. */
export interface PlacedBlock {
  readonly block: Block
  readonly places: readonly Place[]
  /** Whether messages are divided among its replicas by key. */
  readonly isDivided: boolean
}

/** What is wrong with blocks and links that are right each by itself. */
export function flowFaults(flow: string, blocks: readonly PlacedBlock[], links: readonly Linked[]): BlockFault[] {
  const placesOf = (port: InputPort<never> | OutputPort) => blocks.find(({ block }) => block === port.owner)!.places
  return [
    ...blocks.flatMap(dividedFaults),
    ...links.flatMap((link) => referenceFaults(link, [...placesOf(link.from), ...placesOf(link.to)])),
    ...logFaults(flow, blocks, links),
  ]
}

function dividedFaults({ block, isDivided }: PlacedBlock): BlockFault[] {
  const port = isDivided ? block.inputs.find(({ queues }) => queues.length > 0) : undefined
  if (port === undefined) return []
  return [{ block, port, message: dividedFault(port, port.queues[0]!.name) }]
}

/** What is wrong with an input of a block with `partitionBy` that is connected to a queue. */
export function dividedFault({ owner, label }: InputPort<never> | OutputPort, queue: string): string {
  return `partitionBy of block "${owner.name}" divides what comes by links, and ${label} is connected to queue "${queue}"`
}

/** Values that are handed over by reference stay on their event loop. */
function referenceFaults({ from, to }: Linked, places: readonly Place[]): BlockFault[] {
  if (!isByReference(to) || new Set(places).size === 1) return []
  return [{ block: to.owner as Block, port: to, message: betweenProcesses(from, to) }]
}

/** What other processes print has an end when they have, so they cannot wait for it; and there must be some. */
function logFaults(flow: string, blocks: readonly PlacedBlock[], links: readonly Linked[]): BlockFault[] {
  const sources = blocks.filter(({ block }) => block instanceof LogsBlock)
  const elsewhere = blocks.filter(({ places }) => places.some((place) => place !== undefined))
  if (elsewhere.length === 0) {
    const what = `sends what processes and worker threads of its flow print, and "${flow}" has none`
    return sources.map(({ block }) => ({ block, message: `block "${block.name}" ${what}` }))
  }
  return sources.flatMap((source) => {
    const behind = new Set<unknown>([source.block])
    // A set grows while it is gone through.
    for (const one of behind) for (const { from, to } of links) if (from.owner === one) behind.add(to.owner)
    const waiting = elsewhere.filter(({ block }) => behind.has(block))
    return waiting.map(({ block, places: [place] }) => {
      const message = `block "${block.name}" is in "${place}", and cannot end before block "${source.block.name}", which sends what that prints until it ends: put it into the process of the flow`
      return { block, message }
    })
  })
}
