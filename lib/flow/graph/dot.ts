import type { Shape, ShapeNode } from './shape.js'
import { byProcess } from './shape.js'

const SHAPES = { native: 'box', javascript: 'box, style=rounded', queue: 'cylinder' }

/** A drawing as DOT: https://graphviz.org/doc/info/lang.html. */
export function dotOf({ name, nodes, edges }: Shape): string {
  const lines = [
    `digraph ${quote([name])} {`,
    '  rankdir=LR',
    '  node [fontname=monospace]',
    '  edge [fontname=monospace]',
  ]
  byProcess(nodes).forEach(([process, inside], at) => {
    const boxes = inside.map((node) => `  ${boxOf(node)}`)
    if (process === undefined) return lines.push(...boxes)
    const label = `    label=${quote([`process ${process}`])}`
    return lines.push(`  subgraph cluster${at} {`, label, ...boxes.map((box) => `  ${box}`), '  }')
  })
  for (const { from, to, lines: label, isDashed } of edges) {
    const given = [...(label.length === 0 ? [] : [`label=${quote(label)}`]), ...(isDashed ? ['style=dashed'] : [])]
    lines.push(`  ${from} -> ${to}${given.length === 0 ? '' : ` [${given.join(', ')}]`}`)
  }
  return `${[...lines, '}'].join('\n')}\n`
}

function boxOf({ id, kind, lines, isFailed }: ShapeNode): string {
  return `${id} [label=${quote(lines)}, shape=${SHAPES[kind]}${isFailed ? ', color=red' : ''}]`
}

function quote(lines: readonly string[]): string {
  const escaped = lines.map((line) => line.replaceAll(/[\\"]/g, '\\$&').replaceAll(/\s/g, ' '))
  return `"${escaped.join('\\n')}"`
}
