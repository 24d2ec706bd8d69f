import type { PoolStats, QueueStats, QueueUser, Snapshot, SubscriptionStats } from '../../index.js'
import type { Command } from '../command.js'
import { idOf, inspect as inspectDomain, type Inspected, ownerOf, queuesOf, type Seen, stateOf } from '../inspected.js'
import { codecOf, missing, placeOf } from '../place.js'
import { type Column, table, titled } from '../table.js'
import { age, bytes } from '../units.js'

/** Tells all about a domain, or one thing in it. */
export const inspect: Command = {
  name: 'inspect',
  parameters: ['<domain>[/name]'],
  options: {},
  summary:
    'show who takes part and holds what, queues, topics, services, pools; or one of them with all its numbers; exit code 1: a segment cannot be read',
  run({ positionals, where, json }) {
    const { domain, name } = placeOf(positionals[0]!)
    const inspected = inspectDomain(domain, where)
    if (name === undefined) console.log(json ? JSON.stringify(inspected, undefined, 2) : told(inspected))
    else {
      const found = thingsNamed(inspected, name)
      console.log(json ? JSON.stringify(found, undefined, 2) : table(leaves(found), LEAVES).join('\n'))
    }
    return inspected.damaged.length === 0 ? 0 : 1
  },
}

const PARTICIPANTS: readonly Column<Seen>[] = [
  ['slot', idOf],
  ['pid', ({ pid }) => pid],
  ['name', ({ name }) => name],
  ['state', stateOf],
  ['holds', ({ held }) => held],
  ['sent', ({ sent }) => sent],
  ['received', ({ received }) => received],
  ['joined', ({ startedAtMs }) => age(startedAtMs)],
]

const QUEUES: readonly Column<QueueStats>[] = [
  ['name', ({ name }) => name],
  ['depth', ({ depth }) => depth],
  ['limit', ({ limit, capacity }) => limit || capacity],
  ['leased', ({ leased }) => leased],
  ['sent', ({ sent }) => sent],
  ['received', ({ received }) => received],
  ['dropped', ({ dropped }) => dropped],
  ['open', ({ attached }) => attached],
  ['delivery', ({ delivery }) => delivery],
  ['overflow', ({ overflow }) => overflow],
  ['codec', codecOf],
  ['state', ({ closed }) => (closed ? 'closed' : 'open')],
]

const POOLS: readonly Column<PoolStats>[] = [
  ['buffer', ({ bufferBytes }) => bytes(bufferBytes)],
  ['buffers', ({ buffers }) => buffers],
  ['used', ({ used }) => used],
  ['rings', ({ rings }) => rings],
  ['most used', ({ highWater }) => highWater],
  ['segments', ({ segments }) => segments],
]

function told(inspected: Inspected): string {
  const { domain, directory, usedBytes, maxBytes, persist, version, createdAtMs, recoveries, recovered } = inspected
  const { participants, queues, workQueues, topics, services, pools, damaged } = inspected
  const kept = persist ? ', persists' : ''
  const { freed, lost, redelivered } = recovered
  const mailboxes = services.flatMap(({ name, mailboxes: boxes }) => boxes.map((box) => ({ ...box, service: name })))
  return [
    `${domain}: ${bytes(usedBytes)} of ${bytes(maxBytes)} used${kept}, made ${age(createdAtMs)} ago by millrace ${version}`,
    directory,
    `${recoveries} deaths recovered: ${freed} buffers freed, ${lost} messages lost, ${redelivered} delivered again`,
    ...damaged.map((reason) => `damaged: ${reason}`),
    ...titled('participants', participants, PARTICIPANTS),
    ...titled('queues', queues, QUEUES),
    ...titled('work queues', workQueues, QUEUES),
    ...titled('topics', topics, [
      ['name', ({ name }) => name],
      ['published', ({ published }) => published],
      ['history', ({ kept: there, history }) => `${there} of ${history}`],
      ['publishers', ({ attached }) => attached],
      ['subscriptions', ({ subscriptions }) => subscriptions.length],
      ['codec', codecOf],
      ['state', ({ exists, closed }) => (!exists ? 'not made yet' : closed ? 'closed' : 'open')],
    ]),
    ...titled('subscriptions', subscriptionsOf(inspected), [
      ['topic', ({ topic }) => topic],
      ['of', ownerOf],
      ...QUEUES,
    ]),
    ...titled(
      'services: requests',
      services.flatMap(({ name, requests }) => (requests === null ? [] : [{ ...requests, name }])),
      QUEUES,
    ),
    ...titled('services: mailboxes', mailboxes, [
      ['service', ({ service }) => service],
      ['of', ownerOf],
      ['role', ({ role }) => role],
      ['depth', ({ depth }) => depth],
      ['sent', ({ sent }) => sent],
      ['received', ({ received }) => received],
    ]),
    ...titled('who has what open', endsOf(inspected), ENDS),
    ...titled('pools', pools, POOLS),
  ].join('\n')
}

/** A queue that somebody has open. */
interface End extends QueueUser {
  readonly kind: string
  readonly queue: string
  readonly who: Seen | undefined
}

const ENDS: readonly Column<End>[] = [
  ['by', ownerOf],
  ['pid', ({ who }) => who?.pid ?? null],
  ['name', ({ who }) => who?.name ?? null],
  ['kind', ({ kind }) => kind],
  ['queue', ({ queue }) => queue],
  ['does', ({ sends, receives }) => [sends ? 'sends' : [], receives ? 'receives' : []].flat().join(', ') || null],
]

function endsOf(inspected: Inspected): End[] {
  const who = new Map(inspected.participants.map((one) => [idOf(one), one]))
  return queuesOf(inspected).flatMap(({ kind, name: queue, stats }) =>
    stats.users.map((user) => ({ ...user, kind, queue, who: who.get(ownerOf(user)) })),
  )
}

function subscriptionsOf({ topics }: Inspected): (SubscriptionStats & { topic: string })[] {
  return topics.flatMap(({ name: topic, subscriptions }) => subscriptions.map((one) => ({ ...one, topic })))
}

/** What has the name `name`, of every kind. */
function thingsNamed(snapshot: Snapshot, name: string): Record<string, object> {
  const { queues, workQueues, topics, services } = snapshot
  const kinds = { queue: queues, workQueue: workQueues, topic: topics, service: services }
  const found = Object.entries<{ name: string }[]>(kinds).flatMap(([kind, things]) => {
    const thing = things.find((each) => each.name === name)
    return thing === undefined ? [] : [[kind, thing] as const]
  })
  if (found.length === 0) throw missing('queue, topic or service', name, snapshot)
  return Object.fromEntries(found)
}

type Leaf = readonly [path: string, value: string]

/** Every word and number of `value`, and where it stands. */
function leaves(value: unknown, path = ''): Leaf[] {
  if (typeof value !== 'object' || value === null) return [[path, String(value)]]
  return Object.entries(value).flatMap(([key, inside]) => leaves(inside, path === '' ? key : `${path}.${key}`))
}

const LEAVES: readonly Column<Leaf>[] = [
  ['what', ([path]) => path],
  ['is', ([, value]) => value],
]
