// The tables of `millrace top`.
import { type Column, table } from '../table.js'
import { bytes, short } from '../units.js'
import type { View } from '../figures/view.js'

/** A column, and what its rows are sorted by where that is not what it shows. */
type Sorted<R> = readonly [heading: string, cell: Column<R>[1], by?: (row: R) => number]

/** A table. */
export interface Table {
  readonly title: string
  readonly headings: readonly string[]
  /** Its lines, headings first: rows that contain `filter`, the largest of column `sort` first; of a column of words the first. */
  readonly lines: (view: View, order: Order) => string[]
}

/** Which rows, and in which order. */
export interface Order {
  /** Heading of a column; of a table that has it not, rows are in the order of their names. */
  readonly sort: string | undefined
  readonly filter: string
}

/** In the order of the keys that show them. */
export const TABLES: readonly Table[] = [
  made('queues', ({ queues }) => queues, [
    ['depth', ({ depth }) => depth],
    ['limit', ({ limit }) => limit],
    [
      'oldest',
      ({ oldestMs }) => (oldestMs === null ? null : `${short(oldestMs / 1000)} s`),
      ({ oldestMs }) => oldestMs ?? -1,
    ],
    ['have', ({ unacknowledged }) => unacknowledged],
    ['sent/s', ({ sentPerSecond }) => rounded(sentPerSecond)],
    ['recv/s', ({ receivedPerSecond }) => receivedPerSecond && rounded(receivedPerSecond)],
    ['drop/s', ({ droppedPerSecond }) => rounded(droppedPerSecond)],
    ['wait/s', ({ waitsPerSecond }) => rounded(waitsPerSecond)],
    ['name', ({ place }) => place],
    ['kind', ({ kind }) => kind],
    ['senders', ({ senders }) => senders.join(' ')],
    ['receivers', ({ receivers }) => receivers.join(' ')],
  ]),
  made('participants', ({ participants }) => participants, [
    ['holds', ({ held }) => held],
    ['sent/s', ({ sentPerSecond }) => rounded(sentPerSecond)],
    ['recv/s', ({ receivedPerSecond }) => rounded(receivedPerSecond)],
    ['domain', ({ domain }) => domain],
    ['slot', ({ participant }) => participant],
    ['pid', ({ pid }) => pid],
    ['state', ({ state }) => state],
    ['name', ({ name }) => name],
  ]),
  made('pools', ({ pools }) => pools, [
    ['used', ({ used }) => used],
    ['rings', ({ rings }) => rings],
    ['buffers', ({ buffers }) => buffers],
    ['most used', ({ highWater }) => highWater],
    ['bytes', ({ bufferBytes }) => bytes(bufferBytes), ({ bufferBytes }) => bufferBytes],
    ['domain', ({ domain }) => domain],
  ]),
  made('domains', ({ domains }) => domains, [
    ['used', ({ usedBytes }) => bytes(usedBytes), ({ usedBytes }) => usedBytes],
    ['budget', ({ maxBytes }) => bytes(maxBytes), ({ maxBytes }) => maxBytes],
    ['participants', ({ participants }) => participants],
    ['deaths', ({ deaths }) => deaths],
    ['lost', ({ lost }) => lost],
    ['domain', ({ domain }) => domain],
  ]),
]

function rounded(rate: number): number {
  return Number(short(rate))
}

function made<R>(title: string, rowsOf: (view: View) => readonly R[], columns: readonly Sorted<R>[]): Table {
  const shown: readonly Column<R>[] = columns.map(([heading, cell]) => [heading, cell])
  const matches = (row: R, filter: string) =>
    columns.some(([, cell]) => `${cell(row) ?? ''}`.toLowerCase().includes(filter.toLowerCase()))
  return {
    title,
    headings: columns.map(([heading]) => heading),
    lines(view, { sort, filter }) {
      const rows = rowsOf(view).filter((row) => filter === '' || matches(row, filter))
      const column = columns.find(([heading]) => heading === sort)
      return table(column === undefined ? rows : rows.toSorted(descending(column)), shown)
    },
  }
}

function descending<R>([, cell, key]: Sorted<R>) {
  const by: Column<R>[1] = key ?? cell
  return (one: R, other: R): number => {
    const [a, b] = [by(one) ?? -1, by(other) ?? -1]
    return typeof a === 'number' && typeof b === 'number' ? b - a : `${a}`.localeCompare(`${b}`)
  }
}
