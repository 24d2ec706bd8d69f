import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import type { BufferPtr, PortQueue, QueueOptions, ShmManager } from '../../index.js'
import { buffersInUse, openQueue, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import type { WorkerData } from '../fixtures/worker.js'

const delivery = 'at-least-once'
const bytesOf = (...values: number[]) => values.map((value) => new Uint8Array([value]))
const seen = ({ bytes, attempt }: BufferPtr) => [bytes[0], attempt]

/** A leasing queue as two participants have it. */
async function twoEnds(t: ExecutionContext, values: number[], options?: QueueOptions<Uint8Array>) {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const queue = a.portQueue('queue', { delivery, ...options })
  await queue.putMany(bytesOf(...values))
  return { a, b, queue, peer: b.portQueue('queue') }
}

/** What a leasing queue counts. */
function counts(shm: ShmManager) {
  const { depth, leased, pending, redelivered, deadLettered } = shm.stats().queues['queue']!
  return { depth, leased, pending, redelivered, deadLettered }
}

/** Takes everything that is there and acknowledges it. */
function drain(queue: PortQueue) {
  return queue.receiveMany(1000).map((message) => {
    const what = seen(message)
    message.release()
    return what
  })
}

test('what is given back is delivered again, first in line and in order', async (t) => {
  const { a, b, queue, peer } = await twoEnds(t, [1, 2, 3, 4, 5])
  const [first, second, third] = peer.receiveMany(3) as [BufferPtr, BufferPtr, BufferPtr]
  t.deepEqual(counts(a), { depth: 2, leased: 3, pending: 0, redelivered: 0, deadLettered: 0 })
  t.false(first.redelivered)
  second.nack()
  first.nack()
  t.deepEqual(counts(a), { depth: 4, leased: 1, pending: 2, redelivered: 0, deadLettered: 0 })
  t.is(queue.depth, 4)
  const again = queue.receiveMany(10)
  t.deepEqual(again.map(seen), [
    [1, 2],
    [2, 2],
    [4, 1],
    [5, 1],
  ])
  t.true(again[0]!.redelivered)
  t.deepEqual(counts(b), { depth: 0, leased: 5, pending: 0, redelivered: 2, deadLettered: 0 })
  for (const message of [...again, third]) message.release()
  t.deepEqual(counts(a), { depth: 0, leased: 0, pending: 0, redelivered: 2, deadLettered: 0 })
  t.is(buffersInUse(a), 0)
})

test('who sends a message on that was delivered again says so, once and for all', async (t) => {
  const { a, b, queue, peer } = await twoEnds(t, [1, 2])
  const onward = a.portQueue('onward', { delivery })
  peer.tryReceive()!.nack()
  for (let i = 0; i < 2; i++) onward.trySend(queue.tryReceive()!)
  const [again, other] = onward.receiveMany(2) as [BufferPtr, BufferPtr]
  t.deepEqual([again.attempt, again.redelivered, again.timestampKind], [1, true, 'none'])
  t.deepEqual([other.attempt, other.redelivered], [1, false])
  again.timestampKind = 'sample'
  t.deepEqual([again.redelivered, again.timestampKind], [true, 'sample'])
  other.redelivered = again.redelivered
  again.redelivered = false
  t.deepEqual([again.redelivered, again.timestampKind, other.redelivered], [false, 'sample', true])
  throwsCode(t, () => (other.redelivered = 1 as unknown as boolean), 'ERR_MILLRACE_INVALID_ARGUMENT', 'redelivered')
  for (const message of [again, other]) message.release()
  const fresh = b.allocate(8)
  t.false(fresh.redelivered, 'nothing of who had the memory before')
  fresh.release()
  t.is(buffersInUse(a), 0)
})

test('attempts are counted until one is acknowledged', async (t) => {
  const { a, queue, peer } = await twoEnds(t, [1])
  for (let attempt = 1; attempt <= 10; attempt++) {
    const message = (attempt % 2 === 0 ? queue : peer).tryReceive()!
    t.is(message.attempt, attempt)
    message.nack()
  }
  t.deepEqual(drain(queue), [[1, 11]])
  t.deepEqual(drain(peer), [])
  t.is(counts(a).redelivered, 10)
})

test('release, using, and sending on acknowledge', async (t) => {
  const { a, b, peer } = await twoEnds(t, [1, 2, 3, 4, 5])
  const onward = b.portQueue('onward', {})
  peer.tryReceive()!.release()
  {
    using message = peer.tryReceive()!
    t.is(message.bytes[0], 2)
  }
  t.true(onward.trySend(peer.tryReceive()!))
  t.is(onward.sendMany(peer.receiveMany(2)), 2)
  b.close()
  t.deepEqual(counts(a), { depth: 0, leased: 0, pending: 0, redelivered: 0, deadLettered: 0 })
  t.deepEqual(drain(a.portQueue('onward')), [
    [3, 1],
    [4, 1],
    [5, 1],
  ])
  t.is(buffersInUse(a), 0)
})

test('a send that is refused leaves the lease', async (t) => {
  const { a, queue } = await twoEnds(t, [1, 2, 3])
  const onward = a.portQueue('onward', { capacity: 1 })
  const messages = queue.receiveMany(3)
  t.is(onward.sendMany(messages), 1)
  t.is(counts(a).leased, 2)
  for (const message of messages) message.nack()
  t.deepEqual(drain(queue), [
    [2, 2],
    [3, 2],
  ])
  t.deepEqual(drain(onward), [[1, 1]])
})

test('the first end of a reference is the one that counts', async (t) => {
  const { a, queue } = await twoEnds(t, [1, 2])
  const [returned, released] = queue.receiveMany(2) as [BufferPtr, BufferPtr]
  returned.nack()
  t.true(returned.released)
  throwsCode(t, () => returned.bytes, 'ERR_MILLRACE_RELEASED', 'given back')
  throwsCode(t, () => queue.trySend(returned), 'ERR_MILLRACE_RELEASED', 'given back')
  released.release()
  // Both are free for others now, who must not lose them to a second end.
  const own = a.allocate(1)
  const again = queue.tryReceive()!
  for (const message of [returned, released]) {
    message.nack()
    message.release()
  }
  t.deepEqual(counts(a), { depth: 0, leased: 1, pending: 0, redelivered: 1, deadLettered: 0 })
  t.is(buffersInUse(a), 2)
  own.release()
  again.release()
  t.is(buffersInUse(a), 0)
})

test('without a lease nack releases', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(bytesOf(1, 2))
  queue.tryReceive()!.nack()
  queue.peek()!.nack()
  shm.allocate(10).nack()
  t.is(queue.depth, 1)
  t.is(buffersInUse(shm), 1)
})

test('peek shows what is delivered next: what was given back, in its order, then the rest', async (t) => {
  const { a, queue } = await twoEnds(t, [1, 2, 3])
  const [first, second] = queue.receiveMany(2) as [BufferPtr, BufferPtr]
  second.nack()
  for (const expected of [2, 2]) {
    using peeked = queue.peek()!
    t.is(peeked.bytes[0], expected)
  }
  first.nack()
  for (const expected of [1, 2, 3]) {
    using peeked = queue.peek()!
    using message = queue.tryReceive()!
    t.deepEqual([peeked.bytes[0], message.bytes[0]], [expected, expected])
  }
  t.is(queue.peek(), null)
  t.is(buffersInUse(a), 0)
})

test('a shared reference has no part in the lease', async (t) => {
  const { a, queue } = await twoEnds(t, [1])
  const message = queue.tryReceive()!
  const shared = message.share()
  shared.nack()
  t.is(counts(a).leased, 1)
  const kept = message.share()
  message.nack()
  const again = queue.tryReceive()!
  t.deepEqual(seen(again), [1, 2])
  again.release()
  t.is(kept.bytes[0], 1)
  t.is(buffersInUse(a), 1)
  kept.release()
  t.is(buffersInUse(a), 0)
})

test('messages of a destroyed queue are freed either way', async (t) => {
  const { a, queue, peer } = await twoEnds(t, [1, 2, 3])
  const [first, second] = peer.receiveMany(2) as [BufferPtr, BufferPtr]
  queue.destroy()
  const used = () => a.stats().pools.find(({ bufferBytes }) => bufferBytes === 256)!.used
  t.is(used(), 2)
  t.is(first.bytes[0], 1)
  first.nack()
  second.release()
  t.is(used(), 0)
})

test('past maxDeliveries a message goes to the dead-letter queue, as it is', async (t) => {
  const { a, b, queue, peer } = await twoEnds(t, [], { maxDeliveries: 3 })
  t.is(queue.info?.maxDeliveries, 3)
  t.is(queue.info?.delivery, delivery)
  const buffer = a.allocate(3)
  buffer.bytes.set([7, 8, 9])
  buffer.tag = 42n
  await queue.send(buffer)
  await queue.putMany(bytesOf(2))
  for (let attempt = 1; attempt <= 3; attempt++) {
    const message = peer.tryReceive()!
    t.deepEqual(seen(message), [7, attempt])
    message.nack()
  }
  t.deepEqual(counts(a), { depth: 2, leased: 0, pending: 1, redelivered: 2, deadLettered: 0 })
  t.deepEqual(drain(queue), [[2, 1]])
  t.is(counts(a).deadLettered, 1)
  t.is(counts(a).leased, 0)
  using dead = b.portQueue('queue.dead').tryReceive()!
  t.deepEqual(dead.copy(), new Uint8Array([7, 8, 9]))
  t.is(dead.tag, 42n)
  t.is(dead.attempt, 1)
  t.is(a.stats().queues['queue.dead']!.delivery, 'at-most-once')
})

test('a message that is dead-lettered does not hide those behind it', async (t) => {
  const { a, queue } = await twoEnds(t, [1, 2, 3], { maxDeliveries: 1 })
  queue.tryReceive()!.nack()
  queue.close()
  const values: unknown[] = []
  for await (const message of queue) values.push(message.bytes[0])
  t.deepEqual(values, [2, 3])
  t.is(counts(a).deadLettered, 1)
})

test('the dead-letter queue takes over codec and type, so that its values can be read', async (t) => {
  const { shm, queue } = openQueue<number>(t, { delivery, maxDeliveries: 1, codec: 'json', typeId: 7 })
  await queue.put(42)
  queue.tryReceive()!.nack()
  t.is(queue.tryReceive(), null)
  const dead = shm.portQueue<number>('queue.dead')
  t.like(dead.info, { codec: 'json', typeId: 7 })
  t.is(dead.tryGet(), 42)
})

test('a dead-letter queue that exists is used, whatever its options', async (t) => {
  const { a, queue } = await twoEnds(t, [1], { maxDeliveries: 1 })
  const dead = a.portQueue('queue.dead', { capacity: 4, delivery })
  queue.tryReceive()!.nack()
  t.is(queue.tryReceive(), null)
  t.deepEqual(drain(dead), [[1, 1]])
})

test('while the dead-letter queue takes no more, messages are delivered once more instead', async (t) => {
  const { a, queue } = await twoEnds(t, [1, 2, 3], { capacity: 4, maxDeliveries: 1 })
  a.portQueue('queue.dead', { capacity: 4 }).close()
  for (const message of queue.receiveMany(3)) message.nack()
  t.deepEqual(drain(queue), [
    [1, 2],
    [2, 2],
    [3, 2],
  ])
  t.is(counts(a).deadLettered, 0)
  t.is(buffersInUse(a), 0)
})

test('maxDeliveries needs at-least-once', (t) => {
  const { shm } = openQueue(t)
  for (const options of [{ maxDeliveries: 3 }, { maxDeliveries: 3, delivery: 'at-most-once' as const }]) {
    throwsCode(t, () => shm.portQueue('other', options), 'ERR_MILLRACE_INVALID_ARGUMENT', 'maxDeliveries', '3', 'other')
  }
  t.is(shm.portQueue('other', { maxDeliveries: 0 }).info?.delivery, 'at-most-once')
  shm.portQueue('once', { delivery: 'at-most-once' })
  throwsCode(t, () => shm.portQueue('once', { delivery }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'once', 'delivery')
})

test('giving back wakes who waits, in this and in another participant', async (t) => {
  const { queue, peer } = await twoEnds(t, [1])
  const message = queue.tryReceive()!
  const theirs = peer.receive()
  message.nack()
  t.deepEqual(seen(await theirs), [1, 2])
  const mine = peer.receive()
  ;(await theirs).nack()
  t.deepEqual(seen(await mine), [1, 3])
  ;(await mine).release()
})

test('no more messages are out at once than the queue holds', async (t) => {
  const { a, queue, peer } = await twoEnds(t, [1, 2], { capacity: 2 })
  const [first, second] = peer.receiveMany(10) as [BufferPtr, BufferPtr]
  await queue.putMany(bytesOf(3, 4))
  t.is(queue.tryReceive(), null)
  await rejectsCode(t, queue.receive({ timeout: 1 }), 'ERR_MILLRACE_TIMEOUT')
  throwsCode(t, () => queue.receiveSync({ timeout: 1, allowBlocking: true }), 'ERR_MILLRACE_TIMEOUT')
  queue.close()
  const waiting = [queue.receive(), queue.receive(), queue.receive()] as const
  first.release()
  const third = await waiting[0]
  t.deepEqual(seen(third), [3, 1])
  second.nack()
  const again = await waiting[1]
  t.deepEqual(seen(again), [2, 2])
  third.release()
  const fourth = await waiting[2]
  t.deepEqual(seen(fourth), [4, 1])
  again.release()
  fourth.release()
  t.deepEqual(counts(a), { depth: 0, leased: 0, pending: 0, redelivered: 1, deadLettered: 0 })
  await rejectsCode(t, queue.receive(), 'ERR_MILLRACE_CLOSED')
})

test('a closed queue ends when nobody else can give anything back', async (t) => {
  const { queue, peer } = await twoEnds(t, [1, 2])
  const [first, second] = peer.receiveMany(2) as [BufferPtr, BufferPtr]
  queue.close()
  const received = queue.receive()
  const ended = queue.receive()
  first.nack()
  const again = await received
  t.deepEqual(seen(again), [1, 2])
  again.release()
  second.release()
  await rejectsCode(t, ended, 'ERR_MILLRACE_CLOSED', 'queue')
  t.is(queue.tryReceive(), null)
})

test('a manager that is closed gives back what it has', async (t) => {
  const { a, b, queue, peer } = await twoEnds(t, [1, 2, 3])
  peer.tryReceive()!.release()
  const [kept] = peer.receiveMany(2)
  const waiting = [queue.receive(), queue.receive()]
  b.close()
  t.notThrows(() => kept!.nack())
  const messages = await Promise.all(waiting)
  t.deepEqual(messages.map(seen), [
    [2, 2],
    [3, 2],
  ])
  for (const message of messages) message.release()
  t.is(buffersInUse(a), 0)
})

test('a worker that is terminated gives back what it has', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('to-worker', { delivery })
  await queue.putMany(bytesOf(1, 2, 3, 4, 5))
  const workerData: WorkerData = { job: 'lease', domain: domain.name }
  const worker = new Worker(new URL('../fixtures/worker.js', import.meta.url), { workerData })
  t.deepEqual(await once(worker, 'message'), [3])
  t.is(shm.stats().queues['to-worker']!.leased, 3)
  const waiting = [queue.receive(), queue.receive(), queue.receive(), queue.receive(), queue.receive()]
  await worker.terminate()
  const messages = await Promise.all(waiting)
  t.deepEqual(
    messages.map(seen).toSorted(([a], [b]) => a! - b!),
    [
      [1, 2],
      [2, 2],
      [3, 2],
      [4, 1],
      [5, 1],
    ],
  )
  for (const message of messages) message.release()
  t.is(shm.stats().queues['to-worker']!.redelivered, 3)
  t.is(buffersInUse(shm), 0)
})
