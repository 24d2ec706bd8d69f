import type { Box, Point } from './layout.js'
import { laidOut, LINE } from './layout.js'
import type { Shape, ShapeEdge, ShapeNode } from './shape.js'
import { byProcess } from './shape.js'

const FILLS = { native: '#dbeafe', javascript: '#fef3c7', queue: '#f3f4f6' }

/** A drawing as SVG. */
export function svgOf(shape: Shape): string {
  const { name, nodes, edges } = shape
  const graph = laidOut(shape)
  const { width, height } = graph.graph()
  const processes = byProcess(nodes).flatMap(([process], at) => {
    return process === undefined ? [] : [processBox(process, graph.node(`p${at}`))]
  })
  const arrows = edges.map((edge, at) => arrow(edge, graph.edge({ v: edge.from, w: edge.to, name: String(at) })))
  const boxes = nodes.map((node) => box(node, graph.node(node.id)))
  const [w, h] = [Math.ceil(width), Math.ceil(height)]
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" font-family="monospace" font-size="12">
<title>${escape(name)}</title>
<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#333"/></marker></defs>
<rect width="100%" height="100%" fill="white"/>
${[...processes, ...arrows, ...boxes].join('\n')}
</svg>
`
}

function processBox(process: string, { width, height, ...middle }: Box): string {
  const [x, y] = [middle.x - width / 2, middle.y - height / 2]
  const frame = `<rect x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" rx="6" fill="#f8fafc" stroke="#94a3b8" stroke-dasharray="6 3"/>`
  return `${frame}<text x="${n(x + 6)}" y="${n(y + 14)}" fill="#64748b">${escape(`process ${process}`)}</text>`
}

function box({ kind, lines, isFailed }: ShapeNode, at: Box): string {
  const [x, y] = [n(at.x - at.width / 2), n(at.y - at.height / 2)]
  const stroke = isFailed ? '#c00" stroke-width="3' : '#333'
  const corners = kind === 'native' ? 0 : 10
  const frame = `<rect x="${x}" y="${y}" width="${n(at.width)}" height="${n(at.height)}" rx="${corners}" fill="${FILLS[kind]}" stroke="${stroke}"/>`
  return `<g>${frame}${textOf(lines, at)}</g>`
}

function arrow({ lines, isDashed }: ShapeEdge, { points, x, y }: Partial<Box> & { points: Point[] }): string {
  const way = points.map((point, at) => `${at === 0 ? 'M' : 'L'}${n(point.x)} ${n(point.y)}`).join('')
  const dashes = isDashed ? ' stroke-dasharray="5 4"' : ''
  const path = `<path d="${way}" fill="none" stroke="#333"${dashes} marker-end="url(#end)"/>`
  return lines.length === 0
    ? path
    : `${path}${textOf(lines, { x: x!, y: y! }, ' paint-order="stroke" stroke="white" stroke-width="4"')}`
}

/** Lines one below the other, around a point. */
function textOf(lines: readonly string[], { x, y }: Point, look = ''): string {
  const first = y - ((lines.length - 1) * LINE) / 2 + 4
  const texts = lines.map((line, at) => `<tspan x="${n(x)}" y="${n(first + at * LINE)}">${escape(line)}</tspan>`)
  return `<text text-anchor="middle"${look}>${texts.join('')}</text>`
}

/** A coordinate. */
function n(value: number): string {
  return String(Math.round(value * 10) / 10)
}

/** Control characters are none of XML's, escaped or not. */
function escape(text: string): string {
  return text
    .replaceAll(/\p{Cc}/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
}
