import type { Shape, ShapeNode } from './shape.js'
import { byProcess } from './shape.js'

/** A drawing as Mermaid: https://mermaid.js.org, as Markdown on GitHub shows it. */
export function mermaidOf({ nodes, edges }: Shape): string {
  const lines = ['flowchart LR']
  byProcess(nodes).forEach(([process, inside], at) => {
    const boxes = inside.map(boxOf)
    if (process === undefined) return lines.push(...boxes.map((box) => `  ${box}`))
    return lines.push(
      `  subgraph p${at}[${quote([`process ${process}`])}]`,
      ...boxes.map((box) => `    ${box}`),
      '  end',
    )
  })
  for (const { from, to, lines: label, isDashed } of edges) {
    const arrow = isDashed ? '-.->' : '-->'
    lines.push(`  ${from} ${arrow}${label.length === 0 ? '' : `|${quote(label)}|`} ${to}`)
  }
  const failed = nodes.filter(({ isFailed }) => isFailed).map(({ id }) => id)
  if (failed.length > 0)
    lines.push('  classDef failed stroke:#c00,stroke-width:3px', `  class ${failed.join(',')} failed`)
  return `${lines.join('\n')}\n`
}

function boxOf({ id, kind, lines }: ShapeNode): string {
  const text = quote(lines)
  if (kind === 'queue') return `${id}[(${text})]`
  return kind === 'native' ? `${id}[${text}]` : `${id}(${text})`
}

/** Mermaid has entities of its own, by `#`, and takes a backtick for the beginning of Markdown. */
function quote(lines: readonly string[]): string {
  const escaped = lines.map((line) => line.replaceAll(/[^\p{L}\p{N} ._,/→×-]/gu, (sign) => `#${sign.codePointAt(0)};`))
  return `"${escaped.join('<br/>')}"`
}
