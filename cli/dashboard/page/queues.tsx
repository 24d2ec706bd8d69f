// Tables of queues of all kinds, and of topics.
import type { QueueRow } from '../../figures/view.js'
import { seriesOf, type Sparks } from '../protocol.js'
import { duration, Number, Share, Spark } from './figures.js'
import { type Column, Table } from './table.js'

interface QueuesProps {
  readonly caption: string
  readonly rows: readonly QueueRow[]
  readonly sparks: Sparks
  /** Is called with the name of a series whose hour is to be shown. */
  readonly show: (series: string) => void
}

/** A table of queues. */
export function Queues({ caption, rows, sparks, show }: QueuesProps) {
  const columns = [name(show), ...COLUMNS, hour(sparks)]
  return <Table caption={caption} rows={rows} keyOf={seriesOf} columns={columns} />
}

/** A table of topics with their subscriptions, each below its topic. */
export function Topics({ rows, ...props }: QueuesProps) {
  const topics = rows.filter(({ kind }) => kind === 'topic')
  const subscriptions = rows.filter(({ kind }) => kind === 'subscription')
  const both = topics.flatMap((topic) =>
    [topic].concat(subscriptions.filter(({ place }) => place.startsWith(`${topic.place}@`))),
  )
  return <Queues rows={both} {...props} />
}

/** The name, which shows its hour when it is pressed. */
function name(show: (series: string) => void): Column<QueueRow> {
  const cell = (row: QueueRow) => (
    <button type="button" class={`name ${row.kind}`} onClick={() => show(seriesOf(row))}>
      {row.place}
    </button>
  )
  return { heading: 'name', by: ({ place }) => place, cell }
}

function hour(sparks: Sparks): Column<QueueRow> {
  return { heading: 'last hour', cell: (row) => <Spark values={sparks[seriesOf(row)]} /> }
}

/** A column of numbers; null is the least of them. */
function numbers(heading: string, of: (row: QueueRow) => number | null): Column<QueueRow> {
  return { heading, numeric: true, by: (row) => of(row) ?? -1, cell: (row) => <Number of={of(row)} /> }
}

const COLUMNS: readonly Column<QueueRow>[] = [
  { heading: 'kind', by: ({ kind }) => kind, cell: ({ kind }) => kind },
  {
    heading: 'depth',
    numeric: true,
    by: ({ depth }) => depth ?? -1,
    cell: ({ depth, limit }) => (depth === null || limit === null ? '–' : <Share part={depth} whole={limit} />),
  },
  {
    heading: 'oldest',
    numeric: true,
    by: ({ oldestMs }) => oldestMs ?? -1,
    cell: ({ oldestMs }) => (oldestMs === null ? '–' : duration(oldestMs)),
  },
  numbers('have', ({ unacknowledged }) => unacknowledged),
  numbers('sent/s', ({ sentPerSecond }) => sentPerSecond),
  numbers('recv/s', ({ receivedPerSecond }) => receivedPerSecond),
  numbers('drop/s', ({ droppedPerSecond }) => droppedPerSecond),
  numbers('wait/s', ({ waitsPerSecond }) => waitsPerSecond),
  { heading: 'senders', cell: ({ senders }) => senders.join(' ') || '–' },
  { heading: 'receivers', cell: ({ receivers }) => receivers.join(' ') || '–' },
]
