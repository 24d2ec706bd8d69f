import test from 'ava'
import { buffersInUse, openDomain, openQueue, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

const bytes = (value: number) => Uint8Array.of(value)

test('a queue takes what it holds now, and every end goes on', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const queue = a.portQueue('queue', { capacity: 2 })
  const theirs = b.portQueue('queue')
  await queue.putMany([bytes(1), bytes(2)])
  const waiting = theirs.put(bytes(3))
  queue.resize(8)
  await waiting
  t.is(queue.info!.capacity, 8)
  t.is(theirs.info!.capacity, 8)
  for (let i = 4; i <= 8; i++) t.true(queue.tryPut(bytes(i)))
  t.false(theirs.tryPut(bytes(9)))
  theirs.resize(4)
  t.is(queue.depth, 8)
  t.deepEqual(
    theirs.getMany(5).map(([value]) => value),
    [1, 2, 3, 4, 5],
  )
  t.true(queue.tryPut(bytes(9)))
  t.false(queue.tryPut(bytes(10)))
  t.deepEqual(
    queue.getMany(9).map(([value]) => value),
    [6, 7, 8, 9],
  )
  const { sent, received, dropped } = queue.stats()!
  t.deepEqual([sent, received, dropped], [9, 9, 0])
  t.is(b.portQueue('queue', { capacity: 2 }).info!.capacity, 4, 'with what it was made with, it is as it is')
})

test('a receiver that waits, a loop and a stream go on', async (t) => {
  const { queue } = openQueue(t, { capacity: 2 })
  const received = queue.get()
  const values = queue.values()[Symbol.asyncIterator]()
  const next = values.next()
  queue.resize(16)
  await queue.putMany([bytes(1), bytes(2), bytes(3)])
  t.deepEqual([await received, (await next).value], [bytes(1), bytes(2)])
  queue.resize(2)
  t.deepEqual((await values.next()).value, bytes(3))
  queue.close()
  t.true((await values.next()).done)
})

test('leases go along', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 8, delivery: 'at-least-once' })
  await queue.putMany([bytes(1), bytes(2), bytes(3)])
  const [first, second] = queue.receiveMany(2)
  queue.resize(64)
  first!.nack()
  second!.release()
  using again = queue.tryReceive()!
  t.deepEqual([again.bytes[0], again.attempt], [1, 2])
  queue.resize(1)
  again.release()
  t.deepEqual(queue.tryGet(), bytes(3))
  t.true(queue.stats()!.leased === 0)
  t.is(buffersInUse(shm), 0)
})

test('capacity follows the load', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: { min: 2, max: 32 } })
  t.deepEqual(queue.info!.capacityRange, { min: 2, max: 32 })
  for (let i = 0; i < 32; i++) t.true(queue.tryPut(bytes(i)))
  t.false(queue.tryPut(bytes(32)))
  t.is(queue.info!.capacity, 32)
  t.deepEqual(
    queue.getMany(64).map(([value]) => value),
    Array.from({ length: 32 }, (_, i) => i),
  )
  t.is(shm.portQueue('queue', { capacity: { min: 2, max: 32 } }).info!.capacity, 32)
  const wrong = () => shm.portQueue('queue', { capacity: { min: 2, max: 64 } })
  throwsCode(t, wrong, 'ERR_MILLRACE_OPTIONS_MISMATCH', 'capacity.max 32', '64')
})

test('bad capacities', (t) => {
  const { shm, queue } = openQueue(t, { capacity: 2 })
  for (const capacity of [0, 1.5, -1, 2 ** 20 + 1, NaN, '8' as unknown as number]) {
    throwsCode(t, () => queue.resize(capacity), 'ERR_MILLRACE_INVALID_ARGUMENT', 'capacity')
  }
  for (const capacity of [{ min: 4, max: 2 }, { min: 0, max: 2 }, { min: 1 }, { min: 1, max: 2, most: 3 }]) {
    throwsCode(t, () => shm.portQueue('other', { capacity: capacity as never }), 'ERR_MILLRACE_INVALID_ARGUMENT')
  }
  const drops = () => shm.portQueue('other', { capacity: { min: 1, max: 2 }, overflow: 'latest' })
  throwsCode(t, drops, 'ERR_MILLRACE_INVALID_ARGUMENT', 'capacity.max')
  queue.close()
  throwsCode(t, () => queue.resize(4), 'ERR_MILLRACE_CLOSED', 'queue')
  queue.destroy()
  throwsCode(t, () => queue.resize(4), 'ERR_MILLRACE_DESTROYED', 'queue')
})

test('two programs that name no options find each other, in either order', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  t.true(a.portQueue('sent').trySend(a.allocate(3)))
  t.is(b.portQueue('sent').tryReceive()!.length, 3)
  const received = b.portQueue('received').get()
  await a.portQueue('received').put(bytes(7))
  t.deepEqual(await received, bytes(7))
})

test('options are those of whoever names them first', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const queue = a.portQueue('queue')
  await queue.put(bytes(1))
  const theirs = b.portQueue('queue', { capacity: 4, delivery: 'at-least-once' })
  t.is(queue.info!.capacity, 4)
  const message = queue.tryReceive()!
  message.nack()
  t.is(theirs.tryReceive()!.attempt, 2)
  throwsCode(t, () => a.portQueue('queue', { capacity: 8 }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'capacity 4', '8')
})

test('a codec is named before anything is sent, and everybody goes by it', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  a.portQueue('queue', { capacity: 4 })
  const early = a.portQueue<unknown>('queue')
  t.is(early.tryGet(), undefined)
  const got = early.get()
  const named = b.portQueue('queue', { codec: 'json' })
  await named.put({ a: 1 })
  t.deepEqual(await got, { a: 1 })
  await early.put([2])
  t.deepEqual(named.tryGet(), [2])
  await a.portQueue('bytes').put(bytes(1))
  throwsCode(t, () => b.portQueue('bytes', { codec: 'json' }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'codec', 'json')
  const objects = a.portQueue<unknown>('objects').put({ b: 2 }, { timeout: 20 })
  await rejectsCode(t, objects, 'ERR_MILLRACE_TIMEOUT', 'nobody has created it')
  t.is(openDomain(t).portQueue('objects').info, null)
})
