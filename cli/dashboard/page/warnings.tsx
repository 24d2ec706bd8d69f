import type { Warning } from '../../figures/warnings.js'

/** What is off now. */
export function Warnings({ warnings }: { warnings: readonly Warning[] }) {
  if (warnings.length === 0) return <p class="muted">nothing is off</p>
  return (
    <ul class="warnings">
      {warnings.map(({ kind, place, message }) => (
        <li key={`${kind} ${place} ${message}`}>
          <strong>▲ {kind}</strong> <span>{place}</span> <span>{message}</span>
        </li>
      ))}
    </ul>
  )
}
