import test from 'ava'
import type { BufferPtr } from '../../index.js'
import type { Overflow } from '../../index.js'
import { buffersInUse, openDomain, openQueue, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

test('messages arrive in order, exactly once', (t) => {
  const { shm, queue } = openQueue(t, { capacity: 128 })
  for (let i = 0; i < 100; i++) {
    const buffer = shm.allocate(4)
    buffer.as(Uint32Array)[0] = i
    t.true(queue.trySend(buffer))
  }
  t.is(queue.depth, 100)
  for (let i = 0; i < 100; i++) {
    using message = queue.tryReceive()!
    t.is(message.as(Uint32Array)[0], i)
  }
  t.is(queue.tryReceive(), null)
  t.is(buffersInUse(shm), 0)
})

test('info tells options and state', (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', {
    capacity: 100,
    overflow: 'drop-oldest',
    producers: 1,
    typeId: 7,
    codec: 'json',
  })
  t.deepEqual(queue.info, {
    name: 'queue',
    capacity: 128,
    capacityRange: null,
    limit: 0,
    overflow: 'drop-oldest',
    delivery: 'at-most-once',
    maxDeliveries: 0,
    producers: 1,
    consumers: 'many',
    closeWithProducers: false,
    typeId: 7,
    codec: 'json',
    depth: 0,
    closed: false,
  })
  queue.close()
  t.true(queue.info?.closed)
})

test('a queue that does not exist yet is empty', (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('later')
  t.is(queue.info, null)
  t.is(queue.depth, 0)
  t.is(queue.tryReceive(), null)
  t.deepEqual(queue.receiveMany(10), [])
  t.is(queue.peek(), null)
  t.is(queue.tryGet(), undefined)
  t.deepEqual(queue.getMany(10), [])
  throwsCode(t, () => queue.resize(8), 'ERR_MILLRACE_NOT_FOUND', 'later')
  t.is(queue.info, null)
})

test('what waits for a queue begins when somebody creates it', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const early = a.portQueue('queue')
  const received = early.receive()
  const queue = b.portQueue('queue', { capacity: 4 })
  queue.trySend(b.allocate(10))
  t.is((await received).length, 10)
})

test('a full queue refuses, and the buffer stays yours', (t) => {
  const { shm, queue } = openQueue(t, { capacity: 2 })
  const buffers = shm.allocateMany(8, 5)
  t.is(queue.sendMany(buffers), 2)
  t.deepEqual(
    buffers.map((buffer) => buffer.released),
    [true, true, false, false, false],
  )
  t.false(queue.trySend(buffers[2]!))
  t.false(queue.tryPut(new Uint8Array(8)))
  queue.tryReceive()!.release()
  t.true(queue.trySend(buffers[2]!))
})

test('a limit is exact, where capacity is rounded up', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 100, limit: 5 })
  t.like(queue.info, { capacity: 128, limit: 5 })
  const buffers = shm.allocateMany(8, 7)
  t.is(queue.sendMany(buffers), 5)
  t.false(queue.tryPut(new Uint8Array(8)))
  const sent = queue.send(buffers[5]!)
  queue.tryReceive()!.release()
  await sent
  t.is(queue.depth, 5)
  throwsCode(t, () => shm.portQueue('queue', { limit: 6 }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'limit', '5', '6')
  for (const limit of [-1, 1.5, 101]) {
    throwsCode(t, () => shm.portQueue('other', { capacity: 100, limit }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'limit')
  }
})

test('sendMany and receiveMany go beyond one batch', (t) => {
  const { shm, queue } = openQueue(t, { capacity: 1024 })
  const buffers = shm.allocateMany(8, 1000)
  for (const [i, buffer] of buffers.entries()) buffer.sequence = BigInt(i)
  t.is(queue.sendMany(buffers), 1000)
  const messages = [...queue.receiveMany(700), ...queue.receiveMany(700)]
  t.is(messages.length, 1000)
  t.true(messages.every((message, i) => message.sequence === BigInt(i)))
  for (const message of messages) message.release()
  for (const max of [0, -1, NaN, 1.5, '1']) {
    throwsCode(t, () => queue.receiveMany(max as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'max')
    throwsCode(t, () => queue.getMany(max as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'max')
    throwsCode(t, () => queue.batches({ max: max as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'max')
  }
})

test('sendMany stops at the first that is not sendable, and says why', (t) => {
  const { shm, queue } = openQueue(t)
  const buffers = shm.allocateMany(8, 3)
  buffers[1]!.release()
  throwsCode(t, () => queue.sendMany(buffers), 'ERR_MILLRACE_RELEASED')
  t.is(queue.depth, 0)
  t.false(buffers[0]!.released)
})

test('only references of this manager can be sent', async (t) => {
  const { queue } = openQueue(t)
  const other = openDomain(t)
  using foreign = other.allocate(8)
  throwsCode(t, () => queue.trySend(foreign), 'ERR_MILLRACE_FOREIGN_BUFFER', other.domain)
  throwsCode(t, () => queue.sendMany([foreign]), 'ERR_MILLRACE_FOREIGN_BUFFER')
  await rejectsCode(t, queue.send(foreign), 'ERR_MILLRACE_FOREIGN_BUFFER')
  t.is(foreign.length, 8)
  for (const value of [new Uint8Array(8), {}, null, undefined, 7]) {
    throwsCode(t, () => queue.trySend(value as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'BufferPtr')
  }
})

test('peek shows the next message and leaves it', (t) => {
  const { shm, queue } = openQueue(t)
  t.is(queue.peek(), null)
  t.true(queue.tryPut(new Uint8Array([1])))
  {
    using first = queue.peek()!
    t.is(first.bytes[0], 1)
    t.is(queue.depth, 1)
  }
  const kept = queue.peek()!
  queue.tryReceive()!.release()
  t.is(kept.bytes[0], 1)
  kept.release()
  t.is(buffersInUse(shm), 0)
})

test('close: sends fail, what is left is received, then it ends', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany([new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([3])])
  queue.close()
  queue.close()
  using buffer = shm.allocate(8)
  t.false(queue.trySend(buffer))
  t.false(queue.tryPut(new Uint8Array(1)))
  await rejectsCode(t, queue.send(buffer), 'ERR_MILLRACE_CLOSED', 'queue')
  await rejectsCode(t, queue.put(new Uint8Array(1)), 'ERR_MILLRACE_CLOSED', 'queue')
  t.deepEqual(await queue.get(), new Uint8Array([1]))
  t.is((await queue.receive()).bytes[0], 2)
  t.is(queue.tryGet()?.[0], 3)
  t.is(queue.tryReceive(), null)
  await rejectsCode(t, queue.receive(), 'ERR_MILLRACE_CLOSED', 'queue')
  await rejectsCode(t, queue.get(), 'ERR_MILLRACE_CLOSED', 'queue')
  t.is(buffer.length, 8)
})

test('close ends waits on both sides, in every participant', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const empty = a.portQueue('empty', {})
  const full = a.portQueue('full', { capacity: 1 })
  full.trySend(a.allocate(8))
  const waits = [
    b.portQueue('empty').receive(),
    b.portQueue('empty').get(),
    b.portQueue('full').send(b.allocate(8)),
    b.portQueue('full').put(new Uint8Array(8)),
  ]
  empty.close()
  full.close()
  for (const wait of waits) await rejectsCode(t, wait, 'ERR_MILLRACE_CLOSED')
})

test('destroy frees what is queued and ends every wait', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const queue = a.portQueue('queue', { capacity: 2 })
  queue.sendMany(a.allocateMany(8, 2))
  const peer = b.portQueue('queue')
  const empty = a.portQueue('empty', {})
  const buffer = b.allocate(8)
  const waits = [peer.send(buffer), peer.put(new Uint8Array(1)), b.portQueue('empty').receive()]
  queue.destroy()
  queue.destroy()
  empty.destroy()
  for (const wait of waits) await rejectsCode(t, wait, 'ERR_MILLRACE_DESTROYED')
  for (const operation of [() => peer.tryReceive(), () => peer.trySend(buffer), () => peer.tryPut(new Uint8Array(1))]) {
    throwsCode(t, operation, 'ERR_MILLRACE_DESTROYED', 'queue')
  }
  t.is(buffer.length, 8)
  buffer.release()
  t.is(a.stats().pools.find(({ bufferBytes }) => bufferBytes === 256)?.used, 0)
  t.is(a.portQueue('queue', { capacity: 8 }).info?.capacity, 8)
})

test('a destroyed queue gives its ring back', (t) => {
  const shm = openDomain(t)
  for (let i = 0; i < 100; i++) shm.portQueue('queue', { capacity: 4 }).destroy()
  t.is(
    shm.stats().pools.reduce((sum, pool) => sum + pool.used, 0),
    0,
  )
})

const POLICIES: [Overflow, number[], number][] = [
  ['drop-oldest', [3, 4, 5, 6], 2],
  ['drop-newest', [1, 2, 3, 4], 2],
  ['latest', [6], 5],
]

for (const [overflow, left, dropped] of POLICIES) {
  test(`overflow ${overflow} keeps ${left.length} of 6 and counts the others`, (t) => {
    const { shm, queue } = openQueue(t, { capacity: 4, overflow })
    for (let i = 1; i <= 6; i++) t.true(queue.tryPut(new Uint8Array([i])))
    const messages = queue.receiveMany(10)
    t.deepEqual(
      messages.map((message) => message.bytes[0]),
      left,
    )
    t.is(shm.stats().queues['queue']!.dropped, dropped)
    for (const message of messages) message.release()
    t.true(queue.tryPut(new Uint8Array([7])))
    using next = queue.tryReceive()!
    t.is(messages.reduce((sum, message) => sum + message.gap, 0) + next.gap, dropped)
    next.release()
    t.is(buffersInUse(shm), 0)
  })
}

test('overflow reject fails where others wait', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 1, overflow: 'reject' })
  t.true(queue.tryPut(new Uint8Array(1)))
  t.false(queue.tryPut(new Uint8Array(1)))
  using buffer = shm.allocate(8)
  await rejectsCode(t, queue.send(buffer), 'ERR_MILLRACE_FULL', 'queue')
  await rejectsCode(t, queue.put(new Uint8Array(1)), 'ERR_MILLRACE_FULL', 'queue')
  t.is(buffer.length, 8)
})

test('producers: 1 and consumers: 1 admit one participant each', (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const options = { producers: 1, consumers: 1 } as const
  const [mine, theirs] = [a.portQueue('queue', options), b.portQueue('queue', options)]
  t.true(mine.tryPut(new Uint8Array([1])))
  throwsCode(t, () => theirs.tryPut(new Uint8Array([2])), 'ERR_MILLRACE_ROLE', 'queue')
  t.is(theirs.tryGet()?.[0], 1)
  t.true(mine.tryPut(new Uint8Array([3])))
  throwsCode(t, () => mine.tryGet(), 'ERR_MILLRACE_ROLE', 'queue')
  t.is(theirs.tryGet()?.[0], 3)
})

test('a list that has one reference twice, or is none, is refused, and nothing is sent', async (t) => {
  const { shm, queue } = openQueue(t)
  const topic = shm.topic('topic', {})
  using subscription = topic.subscribe()
  const [a, b] = shm.allocateMany(9, 2) as [BufferPtr, BufferPtr]
  using kept = a.share()
  throwsCode(t, () => queue.sendMany([a, b, a]), 'ERR_MILLRACE_INVALID_ARGUMENT', 'buffers[2]', 'share()')
  await rejectsCode(t, topic.publishMany([b, b]), 'ERR_MILLRACE_INVALID_ARGUMENT', 'buffers[1]', 'share()')
  for (const list of [new Set([a]), { length: 1, 0: a }, 'text', 7, null, undefined]) {
    throwsCode(t, () => queue.sendMany(list as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'an array')
    await rejectsCode(t, topic.publishMany(list as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'an array')
    await rejectsCode(t, queue.putMany(list as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'an array')
    await rejectsCode(t, topic.putMany(list as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'an array')
  }
  // A hole is no buffer.
  throwsCode(t, () => queue.sendMany(Array<BufferPtr>(2)), 'ERR_MILLRACE_INVALID_ARGUMENT', 'BufferPtr')
  t.is(queue.depth, 0)
  t.is(subscription.tryReceive(), null)
  // Two references to one buffer are two messages, and the third still holds it.
  t.is(queue.sendMany([a, kept.share()]), 2)
  for (const message of queue.receiveMany(2)) message.release()
  using other = shm.allocate(9)
  other.bytes[0] = 42
  kept.bytes[0] = 13
  t.is(other.bytes[0], 42)
  b.release()
})

test('a list is looked at once: code of its elements that runs meanwhile changes nothing of what is sent', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 8 })
  using subscription = shm.topic('topic', {}).subscribe()
  const [first, second, kept] = [shm.allocate(1), shm.allocate(1), shm.allocate(1)]
  const lists = [first, second].map((buffer) => {
    let looks = 0
    // The second look would come between naming the first buffer and sending.
    const element = () => (looks++ === 0 ? buffer : (kept.share().release(), buffer))
    return Object.defineProperty([shm.allocate(1)], 1, { get: element })
  })
  kept.bytes[0] = 9
  t.is(queue.sendMany(lists[0]!), 2)
  t.is((await shm.topic('topic').publishMany(lists[1]!)).delivered, 2)
  t.false(kept.released)
  const got = [...queue.receiveMany(4), subscription.tryReceive()!, subscription.tryReceive()!]
  t.deepEqual(
    got.map((message) => message.bytes[0]),
    [0, 0, 0, 0],
  )
  t.is(kept.bytes[0], 9)
  for (const message of [...got, kept]) message.release()
  t.is(buffersInUse(shm), 0)
})
