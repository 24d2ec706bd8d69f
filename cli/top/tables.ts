// The tables of `millrace top`.
import { type Column, table } from '../table.js'
import { bytes, short } from '../units.js'
import type { View } from '../figures/view.js'
import { type Action, actionsOnDomain, actionsOnParticipant, actionsOnQueue } from './actions.js'

/** A column, and what its rows are sorted by where that is not what it shows. */
type Sorted<R> = readonly [heading: string, cell: Column<R>[1], by?: (row: R) => number]

/** A row. */
export interface Row {
  /** The same as long as it is about the same thing. */
  readonly key: string
  readonly text: string
  readonly actions: () => readonly Action[]
}

/** A table. */
export interface Table {
  readonly title: string
  readonly headings: readonly string[]
  /** Its rows: those that contain `filter`, the largest of column `sort` first; of a column of words the first. */
  readonly of: (view: View, order: Order) => { headings: string | undefined; rows: Row[] }
}

/** Which rows, and in which order. */
export interface Order {
  /** Heading of a column; of a table that has it not, rows are in the order of their names. */
  readonly sort: string | undefined
  readonly filter: string
}

/** In the order of the keys that show them. */
export const TABLES: readonly Table[] = [
  made(
    'queues',
    ({ queues }) => queues,
    ({ kind, place }) => `${kind} ${place}`,
    actionsOnQueue,
    [
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
    ],
  ),
  made(
    'participants',
    ({ participants }) => participants,
    ({ domain, participant }) => `${domain} ${participant}`,
    actionsOnParticipant,
    [
      ['holds', ({ held }) => held],
      ['sent/s', ({ sentPerSecond }) => rounded(sentPerSecond)],
      ['recv/s', ({ receivedPerSecond }) => rounded(receivedPerSecond)],
      ['domain', ({ domain }) => domain],
      ['slot', ({ participant }) => participant],
      ['pid', ({ pid }) => pid],
      ['state', ({ state }) => state],
      ['name', ({ name }) => name],
    ],
  ),
  made(
    'pools',
    ({ pools }) => pools,
    ({ domain, bufferBytes }) => `${domain} ${bufferBytes}`,
    () => [],
    [
      ['used', ({ used }) => used],
      ['rings', ({ rings }) => rings],
      ['buffers', ({ buffers }) => buffers],
      ['most used', ({ highWater }) => highWater],
      ['bytes', ({ bufferBytes }) => bytes(bufferBytes), ({ bufferBytes }) => bufferBytes],
      ['domain', ({ domain }) => domain],
    ],
  ),
  made(
    'domains',
    ({ domains }) => domains,
    ({ domain }) => domain,
    actionsOnDomain,
    [
      ['used', ({ usedBytes }) => bytes(usedBytes), ({ usedBytes }) => usedBytes],
      ['budget', ({ maxBytes }) => bytes(maxBytes), ({ maxBytes }) => maxBytes],
      ['participants', ({ participants }) => participants],
      ['deaths', ({ deaths }) => deaths],
      ['lost', ({ lost }) => lost],
      ['domain', ({ domain }) => domain],
    ],
  ),
]

function rounded(rate: number): number {
  return Number(short(rate))
}

function made<R>(
  title: string,
  rowsOf: (view: View) => readonly R[],
  keyOf: (row: R) => string,
  actionsOn: (row: R, view: View) => readonly Action[],
  columns: readonly Sorted<R>[],
): Table {
  const shown: readonly Column<R>[] = columns.map(([heading, cell]) => [heading, cell])
  const matches = (row: R, filter: string) =>
    columns.some(([, cell]) => `${cell(row) ?? ''}`.toLowerCase().includes(filter.toLowerCase()))
  return {
    title,
    headings: columns.map(([heading]) => heading),
    of(view, { sort, filter }) {
      const matching = rowsOf(view).filter((row) => filter === '' || matches(row, filter))
      const column = columns.find(([heading]) => heading === sort)
      const rows = column === undefined ? matching : matching.toSorted(descending(column))
      const [headings, ...texts] = table(rows, shown)
      return {
        headings,
        rows: rows.map((row, at) => ({ key: keyOf(row), text: texts[at]!, actions: () => actionsOn(row, view) })),
      }
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
