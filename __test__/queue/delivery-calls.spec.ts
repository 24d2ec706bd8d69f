// Which calls acknowledge, and which give back.
import { once } from 'node:events'
import test from 'ava'
import type { Batch, BufferPtr, PortQueue, ShmManager } from '../../index.js'
import { buffersInUse, openQueue } from '../helpers/domain.js'

const delivery = 'at-least-once'
const values = (count: number) => Array.from({ length: count }, (_, i) => i)

/** Values that are there, with the attempt they took. */
function drain(queue: PortQueue<number>) {
  return queue.receiveMany(1000).map((message) => {
    const what = [message.json<number>(), message.attempt]
    message.release()
    return what
  })
}

/** Sends a message that is no JSON. */
function sendBad(shm: ShmManager, queue: PortQueue<number>) {
  const buffer = shm.allocate(1)
  buffer.bytes[0] = 0x7b
  queue.trySend(buffer)
}

function fail(): never {
  throw new RangeError('no')
}

test('get, tryGet, getMany and readable acknowledge', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery })
  await queue.putMany(values(600))
  t.is(await queue.get(), 0)
  t.is(queue.tryGet(), 1)
  t.deepEqual(queue.getMany(500), values(600).slice(2, 502))
  const stream = queue.readable()
  const rest: number[] = []
  stream.on('data', (value: number) => rest.push(value))
  queue.close()
  await once(stream, 'end')
  t.deepEqual(rest, values(600).slice(502))
  t.like(shm.stats().queues['queue'], { depth: 0, leased: 0, redelivered: 0 })
  t.is(buffersInUse(shm), 0)
})

const DECODE = { code: 'ERR_MILLRACE_DECODE' }

test('get and tryGet give back what cannot be decoded', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery, maxDeliveries: 4 })
  sendBad(shm, queue)
  await queue.put(1)
  for (let i = 0; i < 2; i++) {
    t.throws(() => queue.tryGet(), DECODE)
    await t.throwsAsync(queue.get(), DECODE)
  }
  t.deepEqual(queue.getMany(10), [1])
  t.like(shm.stats().queues['queue'], { depth: 0, leased: 0, deadLettered: 1 })
  t.is(shm.portQueue('queue.dead').tryReceive()?.text(), '{')
})

test('getMany gives back exactly what cannot be decoded, and throws when there is nothing else', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery, maxDeliveries: 2 })
  await queue.put(1)
  sendBad(shm, queue)
  await queue.put(2)
  sendBad(shm, queue)
  await queue.put(3)
  const thrown = () => t.throws(() => queue.getMany(10), DECODE)
  t.deepEqual(queue.getMany(10), [1, 2, 3])
  t.like(shm.stats().queues['queue'], { depth: 2, leased: 0, redelivered: 0 })
  thrown()
  thrown()
  await queue.put(4)
  t.deepEqual(queue.getMany(10), [4])
  t.like(shm.stats().queues['queue'], { depth: 2, leased: 0, redelivered: 2 })
  thrown()
  thrown()
  t.deepEqual(queue.getMany(10), [])
  t.like(shm.stats().queues['queue'], { depth: 0, leased: 0, deadLettered: 2 })
  t.is(shm.portQueue('queue.dead').depth, 2)
})

test('getMany of an at-most-once queue loses exactly what cannot be decoded', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json' })
  await queue.put(1)
  sendBad(shm, queue)
  await queue.putMany(values(300))
  t.deepEqual(queue.getMany(1000), [1, ...values(254)])
  t.throws(() => queue.getMany(10), DECODE)
  t.deepEqual(queue.getMany(1000), values(300).slice(254))
  t.is(buffersInUse(shm), 0)
})

test('a stream hands on what comes before what cannot be decoded, and gives back the rest', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery })
  await queue.put(1)
  sendBad(shm, queue)
  await queue.put(2)
  const stream = queue.readable({ highWaterMark: 2 })
  const seen: number[] = []
  stream.on('data', (value: number) => seen.push(value))
  const [error] = await once(stream, 'error')
  t.like(error, DECODE)
  t.deepEqual(seen, [1])
  t.like(shm.stats().queues['queue'], { depth: 2, pending: 1, leased: 0 })
  t.throws(() => queue.tryGet(), DECODE)
})

test('consume gives back the message whose handler throws or rejects', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery })
  await queue.putMany(values(3))
  await t.throwsAsync(queue.consume(fail), { instanceOf: RangeError })
  t.like(shm.stats().queues['queue'], { depth: 3, pending: 1, leased: 0 })
  await t.throwsAsync(
    queue.consume(async (message) => {
      await new Promise((resolve) => setImmediate(resolve))
      t.is(message.attempt, 2)
      fail()
    }),
    { instanceOf: RangeError },
  )
  queue.close()
  const seen: number[][] = []
  await queue.consume((message) => void seen.push([message.json<number>(), message.attempt]))
  t.deepEqual(seen, [
    [0, 3],
    [1, 1],
    [2, 1],
  ])
  t.is(buffersInUse(shm), 0)
})

test('a handler may decide itself', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery })
  await queue.putMany(values(2))
  queue.close()
  const seen: number[][] = []
  await queue.consume((message) => {
    seen.push([message.json<number>(), message.attempt])
    if (!message.redelivered) message.nack()
  })
  t.deepEqual(seen, [
    [0, 1],
    [0, 2],
    [1, 1],
    [1, 2],
  ])
  const other = shm.portQueue<number>('other', { codec: 'json', delivery })
  await other.put(1)
  const released = other.consume((message) => {
    message.release()
    fail()
  })
  await t.throwsAsync(released, { instanceOf: RangeError })
  t.is(other.depth, 0)
})

const ways = {
  messages: (queue: PortQueue<number>) => ({ loop: queue, seen: (message: BufferPtr) => [message.json<number>()] }),
  batches: (queue: PortQueue<number>) => ({
    loop: queue.batches({ max: 2 }),
    seen: (batch: Batch) => [...batch].map((message) => message.json<number>()),
  }),
  values: (queue: PortQueue<number>) => ({ loop: queue.values(), seen: (value: number) => [value] }),
  readable: (queue: PortQueue<number>) => ({ loop: queue.readable(), seen: (value: number) => [value] }),
  'web stream': (queue: PortQueue<number>) => ({ loop: queue.toWeb().readable, seen: (value: number) => [value] }),
}

/** A turn that takes longer than a loop may keep the event loop to itself. */
function work(): void {
  const until = performance.now() + 6
  while (performance.now() < until);
}

for (const [name, way] of Object.entries(ways)) {
  /** Takes to the end of the turn that sees `last`, and ends in it as `end` says. Returns what it saw. */
  const takeUntil = async (
    queue: PortQueue<number>,
    last: number,
    end: 'break' | 'return' | 'throw',
    turn: () => void = () => {},
  ) => {
    const { loop, seen } = way(queue) as { loop: AsyncIterable<unknown>; seen: (item: unknown) => number[] }
    const all: number[] = []
    for await (const item of loop) {
      all.push(...seen(item))
      turn()
      if (!all.includes(last)) continue
      if (end === 'return') return all
      if (end === 'throw') fail()
      break
    }
    return all
  }

  test(`${name}: a loop acknowledges what is before the turn in which it is left`, async (t) => {
    const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery })
    await queue.putMany(values(20))
    t.deepEqual(await takeUntil(queue, 3, 'break'), [0, 1, 2, 3])
    const last = name === 'batches' ? 2 : 3
    const state = { depth: 20 - last, leased: 0 }
    t.like(shm.stats().queues['queue'], state)
    t.deepEqual(await takeUntil(queue, last, 'return'), name === 'batches' ? [2, 3] : [3])
    t.like(shm.stats().queues['queue'], state)
    await t.throwsAsync(takeUntil(queue, last, 'throw'), { instanceOf: RangeError })
    t.like(shm.stats().queues['queue'], state)
    // In order, and all that had been read ahead.
    t.deepEqual(queue.getMany(100), values(20).slice(last))
    t.is(buffersInUse(shm), 0)
  })

  test(`${name}: a loop whose turns are long has nothing in hand when it is left`, async (t) => {
    const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery })
    await queue.putMany(values(20))
    const last = name === 'batches' ? 2 : 3
    for (const end of ['break', 'return', 'break'] as const) {
      await takeUntil(queue, 3, end, work)
      t.like(shm.stats().queues['queue'], { depth: 20 - last, leased: 0 })
      await takeUntil(queue, last, end, work)
      t.like(shm.stats().queues['queue'], { depth: 20 - last, leased: 0 })
    }
    t.deepEqual(queue.getMany(100), values(20).slice(last))
    t.is(buffersInUse(shm), 0)
  })

  test(`${name}: a loop that comes to the end acknowledges everything, and one that is left at the last message all but that`, async (t) => {
    const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery })
    await queue.putMany(values(6))
    queue.close()
    t.deepEqual(await takeUntil(queue, 5, 'break'), values(6))
    const left = name === 'batches' ? [4, 5] : [5]
    t.like(shm.stats().queues['queue'], { depth: left.length, leased: 0 })
    t.deepEqual(await takeUntil(queue, 6, 'break'), left)
    t.like(shm.stats().queues['queue'], { depth: 0, leased: 0 })
    t.is(buffersInUse(shm), 0)
  })
}

test('release() in a loop acknowledges, however the loop is left', async (t) => {
  const { queue } = openQueue<number>(t, { codec: 'json', delivery })
  await queue.putMany(values(3))
  for await (const message of queue) {
    message.release()
    break
  }
  const throwing = async () => {
    for await (using message of queue) if (message.json<number>() === 1) fail()
  }
  await t.throwsAsync(throwing(), { instanceOf: RangeError })
  t.deepEqual(drain(queue), [[2, 1]])
})

test('a loop that catches can give back', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery })
  await queue.putMany(values(3))
  const loop = async () => {
    for await (const message of queue) {
      try {
        if (message.json<number>() === 1) fail()
      } catch (error) {
        message.nack()
        throw error
      }
    }
  }
  await t.throwsAsync(loop(), { instanceOf: RangeError })
  t.like(shm.stats().queues['queue'], { depth: 2, pending: 1, leased: 0 })
  t.deepEqual(drain(queue), [
    [1, 2],
    [2, 1],
  ])
})

test('one message of a batch can be given back, or all that are left', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery })
  await queue.putMany(values(5))
  const batches = queue.batches()
  const first = (await batches.next()).value!
  first.at(1)!.nack()
  first.at(3)!.nack()
  first.release()
  t.like(shm.stats().queues['queue'], { depth: 2, pending: 2, leased: 0 })
  const second = (await batches.next()).value!
  t.deepEqual(
    [...second].map((message) => message.json<number>()),
    [1, 3],
  )
  second.at(0)!.release()
  second.nack()
  second.release()
  t.deepEqual(drain(queue), [[3, 3]])
  await batches.return!()
  t.is(buffersInUse(shm), 0)
})
