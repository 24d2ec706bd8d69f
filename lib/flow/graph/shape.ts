import type { BlockStats, LinkStats, Report } from '../block/stats.js'
import { blockOfPort } from './block-of-port.js'
import type { BlockData, FlowData, LinkData } from './data.js'

/** What a node of a drawing stands for. */
export type NodeKind = 'native' | 'javascript' | 'queue'

/** A block, or a queue outside of the flow. */
export interface ShapeNode {
  /** Unique in the drawing, of letters and digits. */
  readonly id: string
  readonly kind: NodeKind
  readonly lines: readonly string[]
  /** The process that runs it. */
  readonly process: string | undefined
  readonly isFailed: boolean
}

/** A link between two of them. */
export interface ShapeEdge {
  readonly from: string
  readonly to: string
  readonly lines: readonly string[]
  /** It leads back, or messages take it that a block has failed with. */
  readonly isDashed: boolean
}

/** A flow as boxes and arrows, whatever draws them. */
export interface Shape {
  readonly name: string
  readonly nodes: readonly ShapeNode[]
  readonly edges: readonly ShapeEdge[]
}

/** What is to be drawn of a flow, with what has been counted of a run of it. */
export function shapeOf({ name, blocks, links = [] }: FlowData, counted: Partial<Report>): Shape {
  const nodes = blocks.map((block, at) => nodeOf(block, at, countedOf(block, counted.blocks ?? [])))
  const ids = new Map(blocks.map((block, at) => [block.name, nodes[at]!.id]))
  const queues = new Map<string, ShapeNode>()
  const queue = (label: string): string => {
    const known = queues.get(label)
    const node = known ?? { id: `q${queues.size}`, kind: 'queue', lines: [label], process: undefined, isFailed: false }
    queues.set(label, node)
    return node.id
  }
  // All links to an input are one queue, which the first of them bears the counts of.
  const queueOf = ({ to }: LinkData, at: number): LinkStats | undefined => {
    const isFirst = links.findIndex((link) => link.to === to) === at
    return isFirst ? counted.links?.find((link) => link.to === to) : undefined
  }
  const edges: ShapeEdge[] = links.flatMap((link, at) => edgeOf(link, ids, queueOf(link, at)))
  for (const block of blocks) {
    const { inputs = {}, outputs = {}, onError } = block
    const id = ids.get(block.name)!
    const arrow = (from: string, to: string, port: string, usual: string) =>
      edges.push({ from, to, lines: port === usual ? [] : [port], isDashed: false })
    for (const [port, label] of Object.entries(inputs)) arrow(queue(label), id, port, 'in')
    for (const [port, labels] of Object.entries(outputs))
      for (const label of labels) arrow(id, queue(label), port, 'out')
    const letters = typeof onError === 'object' ? onError.deadLetters : undefined
    if (letters !== undefined) edges.push({ from: id, to: queue(letters), lines: ['dead letters'], isDashed: true })
  }
  return { name, nodes: [...nodes, ...queues.values()], edges }
}

/** Nodes by the process that runs them, that of the flow (undefined) first. */
export function byProcess(nodes: readonly ShapeNode[]): [process: string | undefined, nodes: ShapeNode[]][] {
  const groups = new Map<string | undefined, ShapeNode[]>([[undefined, []]])
  for (const node of nodes) groups.set(node.process, [...(groups.get(node.process) ?? []), node])
  return [...groups]
}

function nodeOf(block: BlockData, at: number, counted: readonly BlockStats[]): ShapeNode {
  const { name, class: native, module, export: exported, closure, process, replicas } = block
  const what = native ?? closure ?? `${module}${exported === undefined ? '' : ` ${exported}`}`
  const title = replicas === undefined ? name : `${name} × ${replicas}`
  const isFailed = counted.some(({ state }) => state === 'failed')
  const kind = native === undefined ? 'javascript' : 'native'
  return { id: `b${at}`, kind, lines: [title, what, ...countsOf(counted)], process, isFailed }
}

/** What has been counted of a block, or of its replicas. */
function countedOf({ name, replicas = 0 }: BlockData, blocks: readonly BlockStats[]): BlockStats[] {
  const names = new Set([name, ...Array.from({ length: replicas }, (_, at) => `${name}.${at}`)])
  return blocks.filter((block) => names.has(block.name))
}

const COUNTS = {
  items: 'items',
  retried: 'retried',
  skipped: 'skipped',
  deadLettered: 'dead letters',
  gaps: 'dropped',
  lost: 'lost',
}

/** Counts of a run; of those that speak of trouble only what is not 0. */
function countsOf(counted: readonly BlockStats[]): string[] {
  if (counted.length === 0) return []
  const keys = Object.keys(COUNTS) as (keyof typeof COUNTS)[]
  const sums = keys.map((key) => [key, counted.reduce((sum, block) => sum + block[key], 0)] as const)
  return sums.filter(([key, sum]) => key === 'items' || sum > 0).map(([key, sum]) => `${sum} ${COUNTS[key]}`)
}

function edgeOf(link: LinkData, ids: ReadonlyMap<string, string>, counted: LinkStats | undefined): ShapeEdge[] {
  const { from, to, capacity, overflow, delivery, feedback = false } = link
  const ends = [endOf(from, ids), endOf(to, ids)] as const
  const [output, input] = ends
  if (output === undefined || input === undefined) return []
  const ports = output.port === 'out' && input.port === 'in' ? [] : [`${output.port} → ${input.port}`]
  const options = [capacity, overflow, delivery].filter((option) => option !== undefined)
  const lines = [
    ...ports,
    ...(options.length > 0 ? [options.join(', ')] : []),
    ...(feedback ? ['feedback'] : []),
    ...(counted === undefined ? [] : queueCounts(counted)),
  ]
  return [{ from: output.id, to: input.id, lines, isDashed: feedback }]
}

/** What has been counted of the queue of a link. */
function queueCounts({ sent, dropped, highWater, capacity }: LinkStats): string[] {
  const drops = dropped > 0 ? [`${dropped} dropped`] : []
  return [`${sent} sent, at most ${highWater} of ${capacity}`, ...drops]
}

/** The node of `block.port`, and the port. */
function endOf(reference: string, ids: ReadonlyMap<string, string>): { id: string; port: string } | undefined {
  const name = blockOfPort(reference, ids.keys())
  return name === undefined ? undefined : { id: ids.get(name)!, port: reference.slice(name.length + 1) }
}
