// Tables of domains, participants and pools.
import type { DomainRow, ParticipantRow, PoolRow } from '../../figures/view.js'
import { bytes, plural } from '../../units.js'
import { seriesOf, type Sparks } from '../protocol.js'
import { Number, Share, Spark } from './figures.js'
import { type Column, Table } from './table.js'

/** A column of numbers. */
function numbers<R>(heading: string, of: (row: R) => number): Column<R> {
  return { heading, numeric: true, by: of, cell: (row) => <Number of={of(row)} /> }
}

/** A column that says how much of something is used. */
function shares<R>(
  heading: string,
  part: (row: R) => number,
  whole: (row: R) => number,
  tell?: (value: number) => string,
): Column<R> {
  const cell = (row: R) => <Share part={part(row)} whole={whole(row)} {...(tell && { tell })} />
  return { heading, numeric: true, by: part, cell }
}

interface DomainsProps {
  readonly rows: readonly DomainRow[]
  readonly sparks: Sparks
  readonly show: (series: string) => void
}

function seriesOfDomain({ domain }: DomainRow): string {
  return seriesOf({ kind: 'domain', place: domain })
}

/** All domains. */
export function Domains({ rows, sparks, show }: DomainsProps) {
  const name = (row: DomainRow) => (
    <button type="button" class="name" onClick={() => show(seriesOfDomain(row))}>
      {row.domain}
    </button>
  )
  const columns: readonly Column<DomainRow>[] = [
    { heading: 'domain', by: ({ domain }) => domain, cell: name },
    shares(
      'memory',
      ({ usedBytes }) => usedBytes,
      ({ maxBytes }) => maxBytes,
      bytes,
    ),
    numbers('participants', ({ participants }) => participants),
    numbers('deaths', ({ deaths }) => deaths),
    numbers('messages lost', ({ lost }) => lost),
    { heading: 'last hour', cell: (row) => <Spark values={sparks[seriesOfDomain(row)]} /> },
  ]
  return <Table caption="domains" rows={rows} keyOf={({ domain }) => domain} columns={columns} />
}

const PARTICIPANTS: readonly Column<ParticipantRow>[] = [
  { heading: 'name', by: ({ name }) => name, cell: ({ name }) => name },
  { heading: 'domain', by: ({ domain }) => domain, cell: ({ domain }) => domain },
  { heading: 'slot', by: ({ participant }) => participant, cell: ({ participant }) => participant },
  { heading: 'pid', numeric: true, by: ({ pid }) => pid, cell: ({ pid }) => pid },
  { heading: 'state', by: ({ state }) => state, cell: ({ state }) => <State of={state} /> },
  numbers('holds', ({ held }) => held),
  numbers('sent/s', ({ sentPerSecond }) => sentPerSecond),
  numbers('recv/s', ({ receivedPerSecond }) => receivedPerSecond),
]

function State({ of }: { of: string }) {
  return of === 'alive' ? <>alive</> : <strong class="trouble">▲ {of}</strong>
}

function keyOfParticipant({ domain, participant }: ParticipantRow): string {
  return `${domain} ${participant}`
}

/** All participants. */
export function Participants({ rows }: { rows: readonly ParticipantRow[] }) {
  return <Table caption="participants" rows={rows} keyOf={keyOfParticipant} columns={PARTICIPANTS} />
}

/** Those who hold most, of a domain. */
const HOLDERS_MAX = 5

const POOLS: readonly Column<PoolRow>[] = [
  { heading: 'buffers of', by: ({ bufferBytes }) => bufferBytes, cell: ({ bufferBytes }) => bytes(bufferBytes) },
  { heading: 'domain', by: ({ domain }) => domain, cell: ({ domain }) => domain },
  shares(
    'used',
    ({ used }) => used,
    ({ buffers }) => buffers,
  ),
  numbers('rings', ({ rings }) => rings),
  numbers('most used', ({ highWater }) => highWater),
]

function keyOfPool({ domain, bufferBytes }: PoolRow): string {
  return `${domain} ${bufferBytes}`
}

/** Who holds how many references in a domain. */
function holdersIn(domain: string, participants: readonly ParticipantRow[]): string {
  const all = participants.filter((one) => one.domain === domain && one.held > 0)
  const most = all.toSorted((one, other) => other.held - one.held).slice(0, HOLDERS_MAX)
  const told = most.map(({ held, name, participant }) => `${held} by ${participant} (${name})`)
  const more = all.length > most.length ? [`and ${plural(all.length - most.length, 'other')}`] : []
  return [...told, ...more].join(', ') || 'nobody holds any'
}

/** All pools, and who holds what of each domain: of which size a buffer is that somebody holds, a domain does not say. */
export function Pools({ rows, participants }: { rows: readonly PoolRow[]; participants: readonly ParticipantRow[] }) {
  const domains = [...new Set(rows.map(({ domain }) => domain))]
  return (
    <>
      <Table caption="pools" rows={rows} keyOf={keyOfPool} columns={POOLS} />
      <ul class="plain">
        {domains.map((domain) => (
          <li key={domain}>
            references in {domain}: {holdersIn(domain, participants)}
          </li>
        ))}
      </ul>
    </>
  )
}
