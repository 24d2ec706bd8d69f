// Small messages that share a buffer: 16 or more of one `putMany`.
import test from 'ava'
import type { BufferPtr } from '../../index.js'
import { buffersInUse, openQueue } from '../helpers/domain.js'
import { testMapped } from '../helpers/mapped.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

const numbered = (count: number, bytes = 10) => Array.from({ length: count }, (_, i) => new Uint8Array(bytes).fill(i))

test('messages of one call share buffers, which are free when the last is released', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(numbered(40))
  t.is(buffersInUse(shm), 1)
  const messages = queue.receiveMany(40)
  t.deepEqual(
    messages.map((message) => message.copy()),
    numbered(40),
  )
  const last = messages.pop()!
  for (const message of messages) message.release()
  t.is(buffersInUse(shm), 1)
  t.deepEqual(last.bytes, new Uint8Array(10).fill(39))
  last.release()
  t.is(buffersInUse(shm), 0)
  t.deepEqual(await shm.fsck(), [])
})

test('a few messages, and large ones, have buffers of their own', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(numbered(15))
  t.is(buffersInUse(shm), 15)
  await queue.putMany(numbered(16, 1025))
  t.is(buffersInUse(shm), 31)
  for (const message of queue.receiveMany(31)) message.release()
  t.is(buffersInUse(shm), 0)
})

test('sizes are mixed, and every message arrives as it was, by each way of receiving', async (t) => {
  const { shm, queue } = openQueue(t)
  const sizes = [0, 1, 63, 64, 65, 192, 1024, 1025, 5000, 70_000]
  const sent = Array.from({ length: 200 }, (_, i) => new Uint8Array(sizes[i % sizes.length]!).fill(i))
  for (const small of [sent, sent.filter(({ length }) => length <= 1024)]) {
    const ways: (() => Promise<Uint8Array[]> | Uint8Array[])[] = [
      () => queue.getMany(200),
      () => queue.receiveMany(200).map(taken),
      () => Array.from(small, () => taken(queue.tryReceive()!)),
      () => Array.from(small, () => queue.tryGet()!),
      async () => {
        const all: Uint8Array[] = []
        for await (const batch of queue.batches()) {
          for (let i = 0; i < batch.length; i++) all.push(batch.bytes(i).slice())
          if (all.length === small.length) break
        }
        return all
      },
    ]
    for (const way of ways) {
      await queue.putMany(small)
      t.deepEqual(await way(), small)
      t.is(buffersInUse(shm), 0)
    }
  }
})

function taken(message: BufferPtr): Uint8Array {
  const copy = message.copy()
  message.release()
  return copy
}

test('each message has a length, a capacity and metadata of its own', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(numbered(20))
  const messages = queue.receiveMany(20)
  const [first, second] = messages as [BufferPtr, BufferPtr]
  t.is(first.capacity, 64)
  for (const message of messages) {
    t.deepEqual(
      [message.length, message.sequence, message.timestamp, message.timestampKind, message.tag, message.source],
      [10, 0n, 0n, 'none', 0n, 0],
    )
  }
  first.length = 64
  first.bytes.fill(255)
  first.sequence = 7n
  first.timestamp = 8n
  first.tag = 2n ** 63n
  first.source = 9
  first.typeId = 10
  t.deepEqual(
    [first.bytes.length, first.sequence, first.timestampKind, first.tag, first.source, first.typeId],
    [64, 7n, 'relative', 2n ** 63n, 9, 10],
  )
  t.deepEqual([second.bytes, second.sequence, second.typeId], [new Uint8Array(10).fill(1), 0n, 0])
  throwsCode(t, () => (first.length = 65), 'ERR_MILLRACE_INVALID_ARGUMENT')
  // It goes on as it is.
  const onward = shm.portQueue('onward', {})
  t.true(onward.trySend(first))
  using arrived = onward.tryReceive()!
  t.deepEqual([arrived.length, arrived.sequence, arrived.source], [64, 7n, 9])
  for (const message of messages) message.release()
})

test('one of many can be shared, sent on, leased, given back and published', async (t) => {
  const { shm, queue } = openQueue(t)
  const sure = shm.portQueue('sure', { delivery: 'at-least-once' })
  const topic = shm.topic('topic', { history: 4 })
  const subscription = topic.subscribe()
  await queue.putMany(numbered(20))
  const messages = queue.receiveMany(20)
  const shared = messages[3]!.share()
  t.is(sure.sendMany(messages.slice(0, 10)), 10)
  topic.tryPublish(messages[10]!)
  for (const message of messages) message.release()
  t.is(shared.bytes[0], 3)
  shared.release()
  t.is(buffersInUse(shm), 1)
  const leased = sure.receiveMany(10)
  t.deepEqual(
    leased.map(({ bytes }) => bytes[0]),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  for (const message of leased) message.nack()
  const again = sure.receiveMany(10)
  t.deepEqual(
    again.map(({ bytes, attempt }) => [bytes[0], attempt]),
    Array.from({ length: 10 }, (_, i) => [i, 2]),
  )
  for (const message of again) message.release()
  const published = await subscription.receive()
  t.is(published.bytes[0], 10)
  published.release()
  topic.destroy()
  t.is(buffersInUse(shm), 0)
  t.deepEqual(await shm.fsck(), [])
})

test('one of many as a request is copied, for the envelope is its own', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(numbered(20))
  const messages = queue.receiveMany(20)
  for (const message of messages) message.tag = 5n
  const service = shm.service('echo')
  const serving = service.serve((request) => request)
  const reply = await service.request(messages[3]!)
  t.deepEqual(reply.copy(), new Uint8Array(10).fill(3))
  reply.release()
  t.true(messages[3]!.released)
  t.deepEqual([messages[2]!.tag, messages[4]!.tag, messages[4]!.length], [5n, 5n, 10])
  t.is(service.stats().copied, 1)
  service.close()
  await serving
  for (const message of messages) message.release()
  t.is(buffersInUse(shm), 0)
})

testMapped('guarded views of messages that share a buffer end each with its own', async (t) => {
  const { shm, queue } = openQueue(t, {}, { guard: true })
  await queue.putMany(numbered(20))
  const [first, second, ...others] = queue.receiveMany(20)
  const [one, two] = [first!.bytes, second!.bytes]
  t.deepEqual([one, one.buffer.byteLength], [new Uint8Array(10), 64])
  first!.release()
  t.is(one.length, 0)
  t.deepEqual(two, new Uint8Array(10).fill(1))
  for (const message of [second!, ...others]) message.release()
  t.is(buffersInUse(shm), 0)
})

test('a full queue takes what it has room for, and the rest when there is room', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 32 })
  const putting = queue.putMany(numbered(100))
  const seen: number[] = []
  while (seen.length < 100) {
    const message = await queue.receive()
    seen.push(message.bytes[0]!)
    message.release()
  }
  await putting
  t.deepEqual(seen, [...numbered(100).keys()])
  await rejectsCode(t, queue.putMany(numbered(100), { timeout: 0 }), 'ERR_MILLRACE_TIMEOUT')
  t.is(queue.depth, 32)
  queue.destroy()
  t.is(buffersInUse(shm), 0)
})

for (const [overflow, kept] of [
  ['drop-oldest', [92, 93, 94, 95, 96, 97, 98, 99]],
  ['drop-newest', [0, 1, 2, 3, 4, 5, 6, 7]],
  ['latest', [99]],
] as const) {
  test(`what ${overflow} drops is free`, async (t) => {
    const { shm, queue } = openQueue(t, { capacity: 8, overflow })
    await queue.putMany(numbered(100))
    const messages = queue.receiveMany(8)
    t.deepEqual(
      messages.map(({ bytes }) => bytes[0]),
      [...kept],
    )
    t.is(messages[0]!.gap, 100 - kept.length)
    for (const message of messages) message.release()
    t.is(buffersInUse(shm), 0)
    t.deepEqual(await shm.fsck(), [])
  })
}
