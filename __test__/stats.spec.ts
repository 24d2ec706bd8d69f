import test from 'ava'
import { openQueue, testDomain } from './helpers/domain.js'

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
    received: 4,
    dropped: 2,
    receiveWaits: 0,
    sendWaits: 0,
    attached: 2,
  })
  held.release()
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
