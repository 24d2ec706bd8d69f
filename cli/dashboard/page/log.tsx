import type { LogEntry } from '../protocol.js'

/** What has happened, the newest first. Screen readers are told of what comes. */
export function Log({ entries }: { entries: readonly LogEntry[] }) {
  return (
    <div class="scroll" role="log" aria-live="polite" aria-label="what has happened" tabIndex={0}>
      <ol class="log">
        {entries.map(({ id, atMs, level, kind, place, message }) => (
          <li key={`${id} ${atMs}`} class={level}>
            <time dateTime={new Date(atMs).toISOString()}>{new Date(atMs).toLocaleTimeString()}</time>
            <strong>{level === 'trouble' ? `▲ ${kind}` : kind}</strong>
            <span>{place}</span>
            <span>{message}</span>
          </li>
        ))}
      </ol>
    </div>
  )
}
