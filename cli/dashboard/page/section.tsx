import type { ComponentChildren } from 'preact'

/** Where a part of the page is. */
export function idOf(title: string): string {
  return title.replaceAll(' ', '-')
}

/** A part of the page that can be jumped to, and closed. */
export function Section({ title, count, children }: { title: string; count: number; children: ComponentChildren }) {
  return (
    <section id={idOf(title)} aria-label={title}>
      <details open>
        <summary>
          <h2>{title}</h2> <span class="muted">{count}</span>
        </summary>
        {children}
      </details>
    </section>
  )
}
