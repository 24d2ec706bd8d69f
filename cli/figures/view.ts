// What `millrace top` and the dashboard show: rows of what there is, with rates from two readings.
import type { Overflow, QueueStats } from '../../index.js'
import { type AnyQueue, idOf, type Inspected, ownerOf, queuesOf, stateOf } from '../inspected.js'
import type { Ages } from './ages.js'
import type { Reading } from './reading.js'
import { type Warning, warningsOf } from './warnings.js'

/** Of two readings; what is per second is 0 when there is only one. */
export interface View {
  /** Time between them. */
  readonly seconds: number
  readonly domains: readonly DomainRow[]
  readonly queues: readonly QueueRow[]
  readonly participants: readonly ParticipantRow[]
  readonly pools: readonly PoolRow[]
  readonly warnings: readonly Warning[]
}

export interface DomainRow {
  readonly domain: string
  readonly participants: number
  readonly usedBytes: number
  readonly maxBytes: number
  /** Deaths recovered since it was made, and the messages that these lost. */
  readonly deaths: number
  readonly lost: number
}

/** A queue of whatever kind, or a topic. */
export interface QueueRow {
  /** `<domain>/<name>`. */
  readonly place: string
  readonly kind: AnyQueue['kind'] | 'topic'
  /** What it does when it is full; null: a topic, for which its subscriptions say it. */
  readonly overflow: Overflow | null
  /** null: a topic, whose messages are in its subscriptions. */
  readonly depth: number | null
  readonly limit: number | null
  /** For how long its oldest message has waited at least, in ms, as far as that was seen; null: nothing waits. */
  readonly oldestMs: number | null
  /** Messages that receivers have and have not acknowledged. */
  readonly unacknowledged: number
  readonly sentPerSecond: number
  readonly receivedPerSecond: number | null
  readonly droppedPerSecond: number
  /** How often a sender waited for room. */
  readonly waitsPerSecond: number
  /** Participants that have sent, and that have received. */
  readonly senders: readonly string[]
  readonly receivers: readonly string[]
}

export interface ParticipantRow {
  readonly domain: string
  readonly participant: string
  readonly pid: number
  readonly name: string
  readonly state: string
  /** References to buffers. */
  readonly held: number
  readonly sentPerSecond: number
  readonly receivedPerSecond: number
}

export interface PoolRow {
  readonly domain: string
  readonly bufferBytes: number
  readonly buffers: number
  readonly used: number
  readonly rings: number
  readonly highWater: number
}

/** How much `now` is above `before`, in a second. */
type Rate = (now: number, before: number | undefined) => number

/** `ages`: those of the readings before. */
export function viewOf(before: Reading | undefined, now: Reading, ages: Ages): View {
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1000
  // What is below what it was, or was not there, has been made since: all of it has come in this time.
  const rate: Rate = (count, past = 0) => (seconds === 0 ? 0 : (count >= past ? count - past : count) / seconds)
  const past = new Map(before?.domains.map((one) => [one.domain, one]))
  const rows = now.domains.flatMap((one) =>
    queueRows(one, past.get(one.domain), rate, (queue, stats) => ages.oldest(queue, stats, now.at)),
  )
  ages.keep(new Set(rows.map(({ kind, place }) => `${kind} ${place}`)))
  return {
    seconds,
    domains: now.domains.map(domainRow),
    queues: rows,
    participants: now.domains.flatMap((one) => participantRows(one, past.get(one.domain), rate)),
    pools: now.domains.flatMap(({ domain, pools }) =>
      pools.map(({ bufferBytes, buffers, used, rings, highWater }) => ({
        domain,
        bufferBytes,
        buffers,
        used,
        rings,
        highWater,
      })),
    ),
    warnings: warningsOf(now, rows),
  }
}

function domainRow({ domain, participants, usedBytes, maxBytes, recoveries, recovered }: Inspected): DomainRow {
  const { length } = participants
  return { domain, participants: length, usedBytes, maxBytes, deaths: recoveries, lost: recovered.lost }
}

/** For how long the oldest message of a queue has waited at least; of one whose name has its kind in front. */
type AgeOf = (queue: string, stats: QueueStats) => number | null

function queueRows(one: Inspected, before: Inspected | undefined, rate: Rate, ageOf: AgeOf): QueueRow[] {
  const { domain } = one
  const past = new Map(before && queuesOf(before).map(({ kind, name, stats }) => [`${kind} ${name}`, stats]))
  const published = new Map(before?.topics.map((topic) => [topic.name, topic.published]))
  const queues = queuesOf(one).map(({ kind, name, stats }): QueueRow => {
    const last = past.get(`${kind} ${name}`)
    const { depth, limit, capacity, overflow, leased, sent, received, dropped, sendWaits, users } = stats
    const idsOf = (does: 'sends' | 'receives') => users.filter((user) => user[does]).map(ownerOf)
    return {
      place: `${domain}/${name}`,
      kind,
      overflow,
      depth,
      limit: limit || capacity,
      oldestMs: ageOf(`${kind} ${domain}/${name}`, stats),
      unacknowledged: leased,
      sentPerSecond: rate(sent, last?.sent),
      receivedPerSecond: rate(received, last?.received),
      droppedPerSecond: rate(dropped, last?.dropped),
      waitsPerSecond: rate(sendWaits, last?.sendWaits),
      senders: idsOf('sends'),
      receivers: idsOf('receives'),
    }
  })
  const topics = one.topics.map(({ name, published: count }): QueueRow => ({
    place: `${domain}/${name}`,
    kind: 'topic',
    overflow: null,
    depth: null,
    limit: null,
    oldestMs: null,
    unacknowledged: 0,
    sentPerSecond: rate(count, published.get(name)),
    receivedPerSecond: null,
    droppedPerSecond: 0,
    waitsPerSecond: 0,
    senders: [],
    receivers: [],
  }))
  return [...queues, ...topics]
}

function participantRows(one: Inspected, before: Inspected | undefined, rate: Rate): ParticipantRow[] {
  const past = new Map(before?.participants.map((each) => [idOf(each), each]))
  return one.participants.map((each) => {
    const last = past.get(idOf(each))
    return {
      domain: one.domain,
      participant: idOf(each),
      pid: each.pid,
      name: each.name,
      state: stateOf(each),
      held: each.held,
      sentPerSecond: rate(each.sent, last?.sent),
      receivedPerSecond: rate(each.received, last?.received),
    }
  })
}
