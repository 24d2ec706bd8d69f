// Who sends what to whom in a domain, laid out: participants, and the queues and topics between them.
import { laidOut } from '../../lib/flow/graph/layout.js'
import type { ShapeEdge, ShapeNode } from '../../lib/flow/graph/shape.js'
import type { QueueRow, View } from '../figures/view.js'
import { type Graph, seriesOf } from './protocol.js'

/** More would be no picture, and to lay them out would take its time. */
const NODES_MAX = 120
/** Longer names are cut. */
const CHARACTERS_MAX = 28
/** Room for what is in a queue, which the page writes. */
const ROOM = '          '

/** The graph of `domain`; null: there is none. What nobody uses is not in it, nor are mailboxes: every client and server has one. */
export function graphOf({ domains, queues, participants }: View, domain: string): Graph | null {
  if (!domains.some((one) => one.domain === domain)) return null
  const rows = queues.filter((row) => row.place.startsWith(`${domain}/`) && row.kind !== 'mailbox')
  const topics = new Map(rows.filter(({ kind }) => kind === 'topic').map((row) => [row.place, row]))
  const topicOf = ({ kind, place }: QueueRow): QueueRow | undefined =>
    kind === 'subscription' ? topics.get(place.slice(0, place.lastIndexOf('@'))) : undefined
  const used = rows.filter((row) => row.kind === 'topic' || row.senders.length + row.receivers.length > 0)
  const ids = new Set(used.flatMap(({ senders, receivers }) => [...senders, ...receivers]))
  const who = participants.filter((one) => one.domain === domain && ids.has(one.participant))
  const size = used.length + who.length
  if (size > NODES_MAX) return { width: 0, height: 0, nodes: [], edges: [], tooMany: size }

  const nodes = [
    ...who.map(({ participant, name, pid }) =>
      node(participant, 'javascript', [name, `${participant}, process ${pid}`]),
    ),
    ...used.map((row) => node(seriesOf(row), 'queue', [row.place.slice(domain.length + 1), `${row.kind}${ROOM}`])),
  ]
  const known = new Set(nodes.map(({ id }) => id))
  const edges = used
    .flatMap((row) => {
      const [id, topic] = [seriesOf(row), topicOf(row)]
      const from = topic === undefined ? row.senders : [seriesOf(topic)]
      return from.map((one) => edge(one, id)).concat(row.receivers.map((one) => edge(id, one)))
    })
    .filter(({ from, to }) => known.has(from) && known.has(to))
  return placed(domain, nodes, edges)
}

function placed(name: string, nodes: readonly ShapeNode[], edges: readonly ShapeEdge[]): Graph {
  const graph = laidOut({ name, nodes, edges })
  const { width, height } = graph.graph()
  return {
    // Without nodes there is no size.
    width: nodes.length === 0 ? 0 : Math.ceil(width),
    height: nodes.length === 0 ? 0 : Math.ceil(height),
    nodes: nodes.map(({ id, kind, lines }) => {
      const { x, y, width: w, height: h } = graph.node(id)
      const isQueue = kind === 'queue'
      return { series: isQueue ? id : null, lines: lines.map((line) => line.trimEnd()), x, y, width: w, height: h }
    }),
    edges: edges.map(({ from, to }, at) =>
      graph
        .edge({ v: from, w: to, name: String(at) })
        .points.map(({ x, y }) => [Math.round(x), Math.round(y)] as const),
    ),
    tooMany: 0,
  }
}

function node(id: string, kind: ShapeNode['kind'], lines: readonly string[]): ShapeNode {
  return { id, kind, lines: lines.map(short), process: undefined, isFailed: false }
}

function edge(from: string, to: string): ShapeEdge {
  return { from, to, lines: [], isDashed: false }
}

function short(line: string): string {
  return line.length > CHARACTERS_MAX ? `${line.slice(0, CHARACTERS_MAX - 1)}…` : line
}
