// The defects of the systems this one descends from, and the tests that would have caught them.
//
//   1 every buffer leaked                          here: more messages than there are buffers
//   2 references of a broadcast miscounted         here: shared to several queues
//   3 pools not shared, clobbered by newcomers     here: newcomers disturb nobody; streams.spec: contents
//   4 locks that die with their holder             kill-in-stream.spec, kill-waiting.spec
//   5 scheduler that runs one block at a time      (comes with the scheduler)
//   6 a start-up path nobody ever ran              every process test starts from nothing
//   7 queue freed under its users                  here: a queue is replaced under its users; manager.spec: after close
//   8 look-ups that scan                           here: the price of a buffer does not grow
//   9 tests that do not compile or pass            npm test counts them, CI runs them
//  10 the second open deletes the first            here: newcomers disturb nobody
//  11 get() on an empty queue never returns        here: an empty queue returns at once
//  12 looking at the counters destroys the queue   here: looking changes nothing
//  13 a reference leads to another queue           here: names lead to the same queue
//  14 maxsize means nothing, large items never fit here: capacity counts messages, of any size
//  15 peek crashes, size and close are local       here: depth, close and destroy are everybody's; port-queue.spec: peek
//  16 duplicates and losses among many             streams.spec
//  17 tests that fall back to a mock               there is no mock
// 17b signal handlers that keep a process alive    here: signals end a process
//  18 a handle outlives its buffer                 bad-input.spec: a second release
//  19 races at creation                            lifecycle.spec: 100 processes; damaged.spec
//  20 the dead block the living                    kill-waiting.spec; manager.spec: close gives back
//  21 timeouts start over, pushes after close      here: a timeout is a total; what was accepted before close arrives
//  22 torn and unread messages when overwriting    here: overflow policies under load
//  23 output from inside the library               here: silence
//  24 data races of a scheduler                    (comes with the scheduler; core: loom models)
//  25 unbounded, blocked by a message too large    here: capacity counts messages, of any size
//  26 admitted gaps: no eviction, linear look-ups  as 4, 8, 20
//  27 coverage that was claimed, not run           counts are asserted exactly
//  28 sleeps and "at least 85 %"                   no test waits by sleeping, every count is exact
import test from 'ava'
import { type Overflow, ShmManager } from '../../index.js'
import type { ConsumeArgs } from '../fixtures/consume.js'
import type { Tally } from '../fixtures/tally.js'
import type { ProduceArgs } from '../fixtures/produce.js'
import type { SendArgs } from '../fixtures/send-until-closed.js'
import type { WaitArgs } from '../fixtures/wait.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { Deaths, startChild } from './children.js'

test.serial('1: more messages than there are buffers', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open({ maxBytes: '2MiB' })
  const queue = shm.portQueue('queue', { capacity: 4 })
  const count = 5000
  const args: ProduceArgs = { domain: domain.name, queue: 'queue', producer: 0, count, bytes: 4096, filled: true }
  const producer = startChild(t, 'produce', args)
  for (let sequence = 0; sequence < count; sequence++) {
    using message = await queue.receive()
    if (Number(message.sequence) !== sequence) t.fail(`${message.sequence} instead of ${sequence}`)
  }
  await producer.done()
  t.is(buffersInUse(shm), 0)
  t.is(
    shm.allocator
      .pools()
      .find(({ bufferBytes }) => bufferBytes === 4096)!
      .stats().used,
    0,
  )
})

test('2: a buffer shared to several queues is free when the last reference is gone', (t) => {
  const shm = testDomain(t).open()
  const queues = ['a', 'b', 'c', 'd'].map((name) => shm.portQueue(name, { capacity: 2 }))
  const [received, closed, destroyed, kept] = queues
  const buffer = shm.allocate(100)
  for (const queue of queues) t.true(queue.trySend(buffer.share()))
  buffer.release()
  t.is(buffersInUse(shm), 1)
  received!.tryReceive()!.release()
  closed!.close()
  closed!.tryReceive()!.release()
  destroyed!.destroy()
  t.is(buffersInUse(shm), 1)
  kept!.tryReceive()!.release()
  t.is(buffersInUse(shm), 0)
})

test('3, 10: newcomers disturb nobody', (t) => {
  const domain = testDomain(t)
  const first = domain.open()
  const queue = first.portQueue('queue', { capacity: 4 })
  const { createdAtMs } = first.registry.snapshot()
  using held = first.allocate(100)
  held.bytes.fill(7)
  using sent = first.allocate(100)
  sent.bytes.fill(8)
  queue.trySend(sent)
  for (let i = 0; i < 20; i++) {
    using shm = ShmManager.open(domain.name)
    t.is(shm.registry.snapshot().createdAtMs, createdAtMs)
    t.is(shm.portQueue('queue', { capacity: 4 }).depth, 1)
    using peeked = shm.portQueue('queue').peek()!
    t.true(peeked.bytes.every((byte) => byte === 8))
  }
  t.true(held.bytes.every((byte) => byte === 7))
  using message = queue.tryReceive()!
  t.true(message.bytes.every((byte) => byte === 8))
})

test('7: a queue is replaced under its users', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const old = a.portQueue('queue', { capacity: 4 })
  const alsoOld = b.portQueue('queue')
  old.sendMany(a.allocateMany(100, 3))
  using message = alsoOld.tryReceive()!
  message.bytes.fill(5)
  const waiting = [alsoOld.receive(), old.receive()]
  // Two messages are there, so two more waits are left waiting.
  for (const wait of waiting) (await wait).release()
  const left = [alsoOld.receive(), old.get(), a.portQueue('queue')[Symbol.asyncIterator]().next()]
  old.destroy()
  for (const wait of left) await rejectsCode(t, wait, 'ERR_MILLRACE_DESTROYED')
  const fresh = b.portQueue('queue', { capacity: 8 })
  t.true(fresh.trySend(message.share()))
  throwsCode(t, () => old.tryReceive(), 'ERR_MILLRACE_DESTROYED')
  throwsCode(t, () => alsoOld.trySend(b.allocate(1)), 'ERR_MILLRACE_DESTROYED')
  using moved = a.portQueue('queue').tryReceive()!
  t.true(moved.bytes.every((byte) => byte === 5))
})

test.serial('8: the price of a buffer does not grow with the number in use', (t) => {
  const shm = testDomain(t).open()
  const round = () => {
    const start = process.hrtime.bigint()
    for (let i = 0; i < 2000; i++) shm.allocate(100).release()
    return Number(process.hrtime.bigint() - start)
  }
  const best = () => Math.min(...Array.from({ length: 15 }, round))
  best()
  const alone = best()
  const kept = shm.allocateMany(100, 16_000)
  const crowded = best()
  // It grew 145-fold with 4095 in use.
  t.true(crowded < 5 * alone, `${alone} → ${crowded} ns`)
  for (const buffer of kept) buffer.release()
})

test('11: an empty queue returns at once', async (t) => {
  const shm = testDomain(t).open()
  const queue = shm.portQueue('queue', { capacity: 2 })
  t.is(queue.tryReceive(), null)
  t.is(queue.tryGet(), undefined)
  t.is(queue.peek(), null)
  t.deepEqual(queue.receiveMany(10), [])
  await rejectsCode(t, queue.get({ timeout: 0 }), 'ERR_MILLRACE_TIMEOUT')
  await rejectsCode(t, queue.get({ timeout: 20 }), 'ERR_MILLRACE_TIMEOUT')
  await rejectsCode(t, queue.receive({ timeout: 20 }), 'ERR_MILLRACE_TIMEOUT')
  throwsCode(t, () => queue.receiveSync({ timeout: 20, allowBlocking: true }), 'ERR_MILLRACE_TIMEOUT')
})

test('12: looking changes nothing', (t) => {
  const domain = testDomain(t)
  const [shm, other] = [domain.open(), domain.open()]
  const queue = shm.portQueue('queue', { capacity: 4 })
  for (let i = 0; i < 200; i++) {
    using buffer = shm.allocate(10)
    buffer.sequence = BigInt(i)
    t.true(queue.trySend(buffer))
    for (const each of [shm, other]) {
      t.like(each.stats().queues['queue'], { depth: 1, sent: i + 1, received: i })
      t.is(each.registry.snapshot().queues.length, 1)
    }
    t.is(queue.info?.depth, 1)
    using message = queue.tryReceive()!
    t.is(message.sequence, BigInt(i))
  }
})

test('13: names lead to the same queue', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('tenant-a.jobs_1', { capacity: 4, codec: 'json' })
  await queue.put({ id: 1 })
  using again = ShmManager.open(shm.domain)
  t.is(again.directory, shm.directory)
  t.deepEqual(again.portQueue(queue.name).tryGet(), { id: 1 } as never)
})

test('14, 25: capacity counts messages, of any size', async (t) => {
  const shm = testDomain(t).open()
  for (const capacity of [1, 2, 16, 1024]) {
    const queue = shm.portQueue(`queue-${capacity}`, { capacity })
    for (let i = 0; i < capacity; i++) t.true(queue.trySend(shm.allocate(10)))
    using buffer = shm.allocate(10)
    t.false(queue.trySend(buffer))
    t.is(queue.depth, capacity)
    queue.destroy()
  }
  const queue = shm.portQueue('sizes', { capacity: 16 })
  const sizes = [1, 20, 34_000, 70_000, 5_000_000, 0, 64]
  for (const size of sizes) await queue.put(new Uint8Array(size).fill(size))
  for (const size of sizes) {
    const value = await queue.get()
    t.is(value.length, size)
    t.true(value.every((byte) => byte === (size & 255)))
  }
  // What can never fit is an error, not a wait without end.
  await rejectsCode(t, queue.put(new Uint8Array(300_000_000)), 'ERR_MILLRACE_TOO_LARGE')
  t.is(buffersInUse(shm), 0)
})

test.serial("15: depth, close and destroy are everybody's", async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('queue', { capacity: 128 })
  const shared = { domain: domain.name, queue: 'queue' }
  await startChild(t, 'produce', { ...shared, producer: 0, count: 100, bytes: 10 } satisfies ProduceArgs).done()
  t.is(queue.depth, 100)
  t.deepEqual(Object.keys(shm.stats().queues), ['queue'])
  queue.destroy()
  t.deepEqual(Object.keys(shm.stats().queues), [])
  const next = shm.portQueue('queue', { capacity: 1 })
  const waiting = (['message', 'message, blocking'] as const).map((what) =>
    startChild(t, 'wait', { ...shared, for: what } satisfies WaitArgs),
  )
  await Promise.all(waiting.map((child) => child.started()))
  next.close()
  for (const child of waiting) {
    t.is(await child.hear(), 'ERR_MILLRACE_CLOSED')
    await child.done()
  }
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test.serial(`17b: ${signal} ends a process`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const deaths = new Deaths(shm)
    shm.portQueue('queue', { capacity: 1 })
    for (const what of ['message', 'message, blocking'] as const) {
      const child = startChild(t, 'wait', { domain: domain.name, queue: 'queue', for: what } satisfies WaitArgs)
      await child.started()
      child.signal(signal)
      t.is((await child.ended).signal, signal)
      t.is((await deaths.of(child)).lost, 0)
    }
  })
}

test('21: a timeout is a total, however often the wait is woken', async (t) => {
  const domain = testDomain(t)
  const [sender, taker, waiter] = [domain.open(), domain.open(), domain.open()]
  const queue = sender.portQueue('queue', { capacity: 4 })
  const over = new AbortController()
  const received = waiter
    .portQueue('queue')
    .receive({ timeout: 200 })
    .then((message) => message.release())
  const timeout = rejectsCode(t, received, 'ERR_MILLRACE_TIMEOUT').finally(() => over.abort())
  // Rings for every message, which somebody else has taken by the time the waiter looks.
  while (!over.signal.aborted) {
    queue.trySend(sender.allocate(1))
    taker.portQueue('queue').tryReceive()?.release()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await timeout
})

test.serial('21: what was accepted before close arrives, and nothing else', async (t) => {
  const domain = testDomain(t)
  t.timeout(60_000)
  const shm = domain.open()
  for (let round = 0; round < 10; round++) {
    const queue = shm.portQueue('queue', { capacity: 64 })
    const args: SendArgs = { domain: domain.name, queue: 'queue', batch: round % 2 === 0 ? 1 : 32 }
    const senders = [startChild(t, 'send-until-closed', args), startChild(t, 'send-until-closed', args)]
    await Promise.all(senders.map((child) => child.started()))
    let received = 0
    const limit = 1 + Math.floor(Math.random() * 5000)
    await queue.consume(() => {
      if (++received === limit) queue.close()
    })
    let accepted = 0
    for (const child of senders) {
      const end = await child.hear<{ accepted: number; code: string }>()
      t.is(end.code, 'ERR_MILLRACE_CLOSED')
      accepted += end.accepted
      await child.done()
    }
    t.is(received, accepted)
    queue.destroy()
    t.is(buffersInUse(shm), 0)
  }
})

for (const overflow of ['drop-oldest', 'drop-newest', 'latest'] satisfies Overflow[]) {
  test.serial(`22: overflow ${overflow} under load: nothing torn, nothing twice, every drop counted`, async (t) => {
    const domain = testDomain(t)
    t.timeout(60_000)
    const shm = domain.open()
    const queue = shm.portQueue('queue', { capacity: 16, overflow })
    const shared = { domain: domain.name, queue: 'queue', filled: true }
    const consumers = [startChild(t, 'consume', shared satisfies ConsumeArgs), startChild(t, 'consume', shared)]
    await Promise.all(consumers.map((child) => child.started()))
    const count = 20_000
    const producers = [0, 1].map((producer) =>
      startChild(t, 'produce', { ...shared, producer, count, bytes: 200 } satisfies ProduceArgs),
    )
    await Promise.all(producers.map((child) => child.done()))
    queue.close()
    let received = 0
    for (const child of consumers) {
      for (const tally of Object.values(await child.hear<Record<number, Tally>>())) {
        received += tally.count
        t.like(tally, { disordered: 0, damaged: 0 })
      }
      await child.done()
    }
    t.is(received + shm.stats().queues['queue']!.dropped, producers.length * count)
    t.is(buffersInUse(shm), 0)
  })
}

test.serial('23: silence', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('queue', { capacity: 1 })
  const shared = { domain: domain.name, queue: 'queue' }
  const consumer = startChild(t, 'consume', shared satisfies ConsumeArgs)
  const producer = startChild(t, 'produce', { ...shared, producer: 0, count: 100, bytes: 10 } satisfies ProduceArgs)
  t.is((await producer.ended).stderr, '')
  queue.close()
  t.is((await consumer.ended).stderr, '')
})
