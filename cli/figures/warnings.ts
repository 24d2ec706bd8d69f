// What is off in the domains, with names.
import type { ParticipantStats } from '../../index.js'
import { idOf, type Inspected, type Seen } from '../inspected.js'
import { DEAD_LETTERS } from '../place.js'
import { bytes, plural, short } from '../units.js'
import type { Reading } from './reading.js'
import type { QueueRow } from './view.js'

export interface Warning {
  readonly kind:
    | 'unreadable'
    | 'damaged'
    | 'dead'
    | 'stalled'
    | 'memory-nearly-used'
    | 'no-consumer'
    | 'slow-consumer'
    | 'dead-letters'
  /** The domain, or the thing in it. */
  readonly place: string
  readonly message: string
}

/** Of what there is, from where on it is nearly used up. */
const NEARLY = 0.9

/** Worst first: what stops everybody, then who is in the way, then what runs full. */
export function warningsOf({ domains, unreadable }: Reading, queues: readonly QueueRow[]): Warning[] {
  return [
    ...unreadable.map(({ domain, message }): Warning => ({ kind: 'unreadable', place: domain, message })),
    ...domains.flatMap(({ domain, damaged }) =>
      damaged.map((message): Warning => ({ kind: 'damaged', place: domain, message })),
    ),
    ...domains.flatMap(({ domain, participants }) => participants.flatMap((one) => missing(domain, one))),
    ...domains.flatMap(memory),
    ...queues.flatMap((row) => backlog(row, queues, domains)),
  ]
}

function missing(domain: string, one: Seen): Warning[] {
  if (one.dead) {
    return [{ kind: 'dead', place: domain, message: `${described(one)} has died and is not recovered yet` }]
  }
  if (one.stalled === null) return []
  const advice = `kill -CONT ${one.pid}, or millrace evict ${domain} ${idOf(one)}`
  return [
    { kind: 'stalled', place: domain, message: `${described(one)} is stopped ${one.stalled} an operation: ${advice}` },
  ]
}

function memory({ domain, maxBytes, pools, participants }: Inspected): Warning[] {
  const used = pools.reduce((sum, pool) => sum + pool.used * pool.bufferBytes, 0)
  if (used < maxBytes * NEARLY) return []
  const most = participants.toSorted((one, other) => other.held - one.held)[0]
  const who = most === undefined ? '' : `; ${described(most)} holds ${plural(most.held, 'reference')}`
  const message = `buffers of ${bytes(used)} are in use, of ${bytes(maxBytes)}${who}`
  return [{ kind: 'memory-nearly-used', place: domain, message }]
}

function backlog(row: QueueRow, queues: readonly QueueRow[], domains: readonly Inspected[]): Warning[] {
  const { place, kind, overflow, depth, limit, droppedPerSecond, receivers } = row
  if (depth === null || limit === null || kind === 'mailbox') return []
  if (place.endsWith(DEAD_LETTERS)) return deadLetters(place, depth, queues)
  if (depth > 0 && receivers.length === 0) {
    return [{ kind: 'no-consumer', place, message: `${plural(depth, 'message')} and nobody who receives` }]
  }
  // `latest` is full, and drops, as it should.
  const full = (overflow === 'block' || overflow === 'reject') && depth >= limit * NEARLY
  if (receivers.length === 0 || overflow === 'latest' || !(droppedPerSecond > 0 || full)) return []
  const who = receivers.map((id) => nameOf(id, place, domains)).join(', ')
  const lost = droppedPerSecond > 0 ? `, ${short(droppedPerSecond)} dropped a second` : ''
  return [{ kind: 'slow-consumer', place, message: `${depth} of ${limit} messages${lost}: ${who} cannot keep up` }]
}

function deadLetters(place: string, depth: number, queues: readonly QueueRow[]): Warning[] {
  if (depth === 0) return []
  const from = place.slice(0, -DEAD_LETTERS.length)
  const takesThem = queues.some((row) => row.place === from && (row.kind === 'queue' || row.kind === 'work'))
  const advice = takesThem ? `: millrace redrive ${from}` : ''
  return [{ kind: 'dead-letters', place, message: `${plural(depth, 'dead letter')}${advice}` }]
}

function nameOf(id: string, place: string, domains: readonly Inspected[]): string {
  const domain = domains.find((one) => place.startsWith(`${one.domain}/`))
  const who = domain?.participants.find((one) => idOf(one) === id)
  return who === undefined ? id : described(who)
}

/** A participant as messages name it. */
export function described(one: Pick<ParticipantStats, 'slot' | 'epoch' | 'name' | 'pid'>): string {
  return `${idOf(one)} (${JSON.stringify(one.name)}, process ${one.pid})`
}
