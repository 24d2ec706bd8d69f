// A table that is sorted by the headings of its columns, and filtered by a text.
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

/** A column. */
export interface Column<R> {
  readonly heading: string
  readonly cell: (row: R) => ComponentChildren
  /** What rows are sorted by; none: they are not. Numbers with the largest first. */
  readonly by?: (row: R) => number | string
  /** Whether it stands to the right. */
  readonly numeric?: boolean
}

/** More rows than this are left out: a filter finds them. */
const ROWS_MAX = 300

interface TableProps<R> {
  readonly caption: string
  readonly rows: readonly R[]
  readonly keyOf: (row: R) => string
  readonly columns: readonly Column<R>[]
}

/** The table; a sentence when there are no rows. The first column is the heading of each row. */
export function Table<R>({ caption, rows, keyOf, columns }: TableProps<R>) {
  const [order, setOrder] = useState<{ heading: string; reversed: boolean } | undefined>()
  if (rows.length === 0) return <p class="muted">none</p>
  const by = columns.find(({ heading }) => heading === order?.heading)?.by
  const sorted = by === undefined ? rows : rows.toSorted(comparing(by, order!.reversed))
  const press = (heading: string): void => {
    const isSame = order?.heading === heading
    setOrder(isSame && order.reversed ? undefined : { heading, reversed: isSame })
  }
  return (
    <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ heading, by: sortable, numeric }) => {
              const isBy = order?.heading === heading
              const name = sortable !== undefined && typeof sortable(rows[0]!) === 'number' ? 'descending' : 'ascending'
              const sort = !isBy ? 'none' : order.reversed ? OPPOSITE[name] : name
              return (
                <th key={heading} scope="col" class={numeric ? 'numeric' : ''} aria-sort={sort}>
                  {sortable === undefined ? (
                    heading
                  ) : (
                    <button type="button" onClick={() => press(heading)}>
                      {heading}
                      <span aria-hidden="true">{ARROWS[sort]}</span>
                    </button>
                  )}
                </th>
              )
            })}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, ROWS_MAX).map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ heading, cell, numeric }, at) =>
                at === 0 ? (
                  <th key={heading} scope="row">
                    {cell(row)}
                  </th>
                ) : (
                  <td key={heading} class={numeric ? 'numeric' : ''}>
                    {cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > ROWS_MAX && <p class="muted">and {rows.length - ROWS_MAX} more: a filter finds them</p>}
    </div>
  )
}

const OPPOSITE = { ascending: 'descending', descending: 'ascending' } as const
const ARROWS = { none: '', ascending: ' ↑', descending: ' ↓' }

function comparing<R>(by: (row: R) => number | string, reversed: boolean) {
  return (one: R, other: R): number => {
    const [a, b] = [by(one), by(other)]
    const order = typeof a === 'number' && typeof b === 'number' ? b - a : `${a}`.localeCompare(`${b}`)
    return reversed ? -order : order
  }
}
