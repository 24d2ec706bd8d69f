import { createRequire } from 'node:module'
import type { Shape } from './shape.js'
import { byProcess } from './shape.js'

// By this name: tools that trace what a program needs know it.
const require = createRequire(import.meta.url)

/** A place in a drawing, in pixels. */
export interface Point {
  x: number
  y: number
}

/** A box by its middle. */
export interface Box extends Point {
  width: number
  height: number
}

/** As much of dagre as is used. */
interface Dagre {
  readonly Graph: new (options: { compound: boolean; multigraph: boolean }) => DagreGraph
  readonly layout: (graph: DagreGraph) => void
}

/** A drawing that is laid out, as far as is used of it. */
export interface DagreGraph {
  setGraph(options: object): this
  graph(): { width: number; height: number }
  setNode(id: string, size: object): this
  setParent(id: string, parent: string): this
  setEdge(from: string, to: string, size: object, name: string): this
  node(id: string): Box
  edge(edge: { v: string; w: string; name: string }): Partial<Box> & { points: Point[] }
}

/** Sizes in pixels. */
const CHARACTER = 7.3
export const LINE = 16
const PADDING = 10

/** Places for all of a shape: layers from left to right, by dagre. Nodes by their ids, processes as `p0`, `p1`, …, edges by their index. */
export function laidOut({ nodes, edges }: Shape): DagreGraph {
  const dagre = require('#dagre') as Dagre
  const graph = new dagre.Graph({ compound: true, multigraph: true })
  graph.setGraph({ rankdir: 'LR', nodesep: 30, ranksep: 50, marginx: 20, marginy: 20 })
  byProcess(nodes).forEach(([process, inside], at) => {
    if (process !== undefined) graph.setNode(`p${at}`, {})
    for (const { id, lines } of inside) {
      graph.setNode(id, sizeOf(lines, PADDING))
      if (process !== undefined) graph.setParent(id, `p${at}`)
    }
  })
  edges.forEach(({ from, to, lines }, at) => {
    const label = lines.length === 0 ? {} : { ...sizeOf(lines, 2), labelpos: 'c' }
    graph.setEdge(from, to, label, String(at))
  })
  dagre.layout(graph)
  return graph
}

function sizeOf(lines: readonly string[], padding: number): { width: number; height: number } {
  const longest = Math.max(...lines.map((line) => line.length))
  return { width: longest * CHARACTER + 2 * padding, height: lines.length * LINE + 2 * padding }
}
