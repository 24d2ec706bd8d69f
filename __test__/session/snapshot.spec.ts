import { createRequire } from 'node:module'
import test from 'ava'
import type { QueueOptions, QueueStats } from '../../index.js'
import { openQueue, testDomain } from '../helpers/domain.js'

const { version } = createRequire(import.meta.url)('millrace/package.json') as { version: string }

test('a snapshot is plain data about everything in the domain', async (t) => {
  const domain = testDomain(t)
  const before = Date.now()
  const [a, b] = [domain.open({ maxBytes: '64MiB', name: 'producer' }), domain.open({ name: 'consumer' })]
  const queue = a.portQueue('queue', { capacity: 4, overflow: 'drop-oldest', codec: 'json', consumers: 1 })
  for (let i = 0; i < 6; i++) queue.tryPut(i)
  const peer = b.portQueue('queue')
  peer.tryReceive()!.release()
  const held = peer.tryReceive()!
  const snapshot = a.registry.snapshot()
  t.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot)
  t.is(snapshot.domain, domain.name)
  t.is(snapshot.directory, a.directory)
  t.is(snapshot.maxBytes, 64 * 2 ** 20)
  t.true(snapshot.usedBytes > 0 && snapshot.usedBytes <= snapshot.maxBytes)
  t.true(snapshot.createdAtMs >= before && snapshot.createdAtMs <= Date.now())
  t.is(snapshot.recoveries, 0)
  t.false(snapshot.persist)
  t.is(snapshot.version, version)
  t.is(
    snapshot.pools.reduce((rings, pool) => rings + pool.rings, 0),
    1,
  )

  const who = (name: string) => snapshot.participants.find((participant) => participant.name === name)!
  t.is(who('producer').sent, 6)
  t.is(who('consumer').received, 2)
  t.is(who('consumer').held, 2, 'one message and the ring')
  t.is(snapshot.queues.length, 1)
  t.like(snapshot.queues[0], {
    name: 'queue',
    capacity: 4,
    overflow: 'drop-oldest',
    delivery: 'at-most-once',
    producers: 'many',
    consumers: 1,
    typeId: 0,
    codec: 'json',
    closed: false,
    depth: 2,
    sent: 6,
    received: 2,
    dropped: 2,
    leased: 0,
    pending: 0,
    redelivered: 0,
    deadLettered: 0,
    maxDeliveries: 0,
    receiveWaits: 0,
    sendWaits: 0,
    attached: 2,
    users: [
      { participant: 0, epoch: 1, sends: true, receives: false },
      { participant: 1, epoch: 1, sends: false, receives: true },
    ],
  })
  held.release()
})

test('a queue tells its own counters as the domain does', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 8, delivery: 'at-least-once', overflow: 'reject' })
  await queue.putMany([new Uint8Array(1), new Uint8Array(2)])
  using message = await queue.receive()
  t.is(message.length, 1)
  t.deepEqual(queue.stats(), shm.stats().queues['queue']!)
  t.is(queue.depth, 1)
  t.is(shm.portQueue('not-there').stats(), null)
})

test('stats have no queue of a name that was not given to one', (t) => {
  const shm = testDomain(t).open()
  const { queues, topics } = shm.stats()
  for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
    t.is(queues[name], undefined)
    t.is(topics[name], undefined)
  }
  shm.portQueue('constructor', { capacity: 2 })
  t.is(shm.stats().queues['constructor']?.capacity, 2)
})

test('stats count waits', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 1 })
  const got = queue.get()
  await queue.put(new Uint8Array(1))
  await got
  await queue.put(new Uint8Array(1))
  const put = queue.put(new Uint8Array(1))
  await queue.get()
  await put
  const { receiveWaits, sendWaits } = shm.stats().queues['queue']!
  t.is(receiveWaits, 1)
  t.is(sendWaits, 1)
})

const OPTIONS: [QueueOptions<Uint8Array>, Partial<QueueStats>][] = [
  [{ overflow: 'reject' }, { sent: 4, received: 3, dropped: 0, depth: 1 }],
  [{ overflow: 'drop-oldest' }, { sent: 10, received: 3, dropped: 6, depth: 1 }],
  [{ overflow: 'drop-newest' }, { sent: 10, received: 3, dropped: 6, depth: 1 }],
  [{ overflow: 'latest' }, { sent: 10, received: 1, dropped: 9, depth: 0 }],
  [
    { overflow: 'reject', delivery: 'at-least-once' },
    { sent: 4, received: 3, dropped: 0, depth: 2, pending: 1 },
  ],
]

for (const [options, expected] of OPTIONS) {
  test(`every message is accounted for: ${Object.values(options).join(', ')}`, (t) => {
    const { shm, queue } = openQueue(t, { capacity: 4, ...options })
    for (let i = 0; i < 10; i++) queue.tryPut(new Uint8Array([i]))
    for (const [i, message] of queue.receiveMany(3).entries()) {
      if (i === 1) message.nack()
      else message.release()
    }
    const stats = shm.stats().queues['queue']!
    t.like(stats, expected)
    t.is(stats.sent, stats.received + stats.dropped + stats.depth - stats.pending)
  })
}

test('the high water of a queue that was full is its capacity', (t) => {
  const { shm, queue } = openQueue(t, { capacity: 8 })
  while (queue.tryPut(new Uint8Array(1)));
  queue.getMany(8)
  t.is(shm.stats().queues['queue']!.highWater, 8)
})

test('a participant counts deliveries, a queue messages', async (t) => {
  const { shm, queue } = openQueue(t, { delivery: 'at-least-once' })
  await queue.put(new Uint8Array(1))
  for (let i = 0; i < 4; i++) queue.tryReceive()!.nack()
  queue.tryReceive()!.release()
  t.is(shm.registry.snapshot().participants[0]!.received, 5)
  t.like(shm.stats().queues['queue'], { sent: 1, received: 1, redelivered: 4, depth: 0 })
})
