// Who sends what to whom: participants and the queues between them, which are coloured by how full they are.
import type { ParticipantRow, QueueRow } from '../../figures/view.js'
import { plural } from '../../units.js'
import { type Graph, type GraphNode, seriesOf } from '../protocol.js'
import { levelOf } from './figures.js'
import { useAnswer } from './stream.js'

const LINE = 16
const ROUND = 10

interface DrawingProps {
  readonly domain: string
  /** Of all domains. */
  readonly queues: readonly QueueRow[]
  readonly participants: readonly ParticipantRow[]
}

/** The graph of a domain. It is laid out anew when somebody comes, goes, or begins to send or receive. */
export function Drawing({ domain, queues, participants }: DrawingProps) {
  const rows = queues.filter(({ place }) => place.startsWith(`${domain}/`))
  const who = participants.filter((one) => one.domain === domain)
  const structure = JSON.stringify([
    who.map(({ participant }) => participant),
    rows.map(({ kind, place, senders, receivers }) => [kind, place, senders, receivers]),
  ])
  const graph = useAnswer<Graph | null>('/graph', domain, structure) ?? null
  if (graph === null) return null
  const { width, height, nodes, edges, tooMany } = graph
  if (tooMany > 0) {
    return (
      <p class="muted">
        {domain}: {tooMany} participants and queues are too many to draw
      </p>
    )
  }
  if (nodes.length === 0) return <p class="muted">{domain}: nobody has sent or received yet</p>
  const bySeries = new Map(rows.map((row) => [seriesOf(row), row]))
  const label = `${domain}: ${nodes.length} participants and queues, ${plural(edges.length, 'arrow')}; the tables say the same`
  return (
    <figure class="scroll" role="region" aria-label={`graph of ${domain}`} tabIndex={0}>
      <figcaption>
        {domain} <span class="muted">queues by how full they are, ▲ from 90 % on</span>
      </figcaption>
      <svg role="img" aria-label={label} viewBox={`0 0 ${width} ${height}`} width={width} height={height}>
        <marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">
          <path d="M0 0L8 4L0 8z" />
        </marker>
        {edges.map((points, at) => (
          <path
            key={at}
            class="edge"
            d={`M${points.map((point) => point.join(' ')).join('L')}`}
            marker-end="url(#end)"
          />
        ))}
        {nodes.map((node) => (
          <Node key={node.series ?? node.lines.join(' ')} node={node} row={bySeries.get(node.series ?? '')} />
        ))}
      </svg>
    </figure>
  )
}

function Node({ node: { series, lines, x, y, width, height }, row }: { node: GraphNode; row: QueueRow | undefined }) {
  const { depth = null, limit = null } = row ?? {}
  const level = depth === null || limit === null ? 'calm' : levelOf(depth / limit)
  const [name, rest] = lines
  const second = depth === null ? rest : `${depth} of ${limit}${level === 'full' ? ' ▲' : ''}`
  return (
    <g class={series === null ? 'participant' : `queue ${level}`}>
      <title>{[name, rest, row && waits(row)].filter(Boolean).join(', ')}</title>
      <rect x={x - width / 2} y={y - height / 2} width={width} height={height} rx={series === null ? ROUND : 0} />
      <text x={x} y={y - LINE / 2 + 4}>
        {name}
      </text>
      <text x={x} y={y + LINE / 2 + 4}>
        {second}
      </text>
    </g>
  )
}

/** Whether senders are held up. */
function waits({ waitsPerSecond }: QueueRow): string {
  return waitsPerSecond > 0 ? 'senders wait for room' : 'no sender waits'
}
