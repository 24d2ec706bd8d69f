// How flows begin, are held, and end; and what is left of them.
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { Copy, NullSink, NullSource, Scheduler, type SchedulerOptions } from '../../flow.js'
import type { ShmManager } from '../../index.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { until } from '../process/children.js'

/** A source that is linked to a sink. */
function pair(shm: ShmManager, count?: number, options: SchedulerOptions = { threads: 2 }) {
  const scheduler = new Scheduler(shm, options)
  const source = scheduler.add(new NullSource({ size: 100, ...(count !== undefined && { count }) }))
  const sink = scheduler.add(new NullSink())
  scheduler.link(source.out, sink.in)
  return { scheduler, source, sink }
}

function participants(shm: ShmManager): string[] {
  return shm.registry.snapshot().participants.map(({ name }) => name)
}

/** But for the doorbells of other participants, which stay open once they have been rung: one a slot. */
function descriptors(): number {
  const open = listOf('/proc/self/fd').map((fd) => join('/proc/self/fd', fd))
  return open.filter((fd) => existsSync(fd) && !readlinkSync(fd).includes('/doorbell.')).length
}

function threads(): number {
  return listOf('/proc/self/task').length
}

/** Nothing, where the system does not say. */
function listOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : []
}

for (const policy of ['work-stealing', 'pinned', 'thread-per-block', 'single'] as const) {
  test(`policy ${policy}: everything arrives`, async (t) => {
    const shm = openDomain(t)
    const { scheduler, source, sink } = pair(shm, 5000, { threads: 2, policy, seed: 7 })
    const { blocks } = await scheduler.run()
    t.is(source.stats().items, 5000)
    t.is(sink.stats().items, 5000)
    t.deepEqual(
      blocks.map(({ state, lost, undelivered }) => [state, lost, undelivered]),
      [
        ['stopped', 0, 0],
        ['stopped', 0, 0],
      ],
    )
    t.is(buffersInUse(shm), 0)
  })
}

test.serial('it is a participant of its own while it runs, and no other time', async (t) => {
  const shm = openDomain(t)
  const [before] = [participants(shm)]
  const { scheduler } = pair(shm)
  t.deepEqual(participants(shm), before)
  const ended = scheduler.run()
  t.deepEqual(participants(shm), [...before, 'scheduler'])
  await scheduler.stop()
  t.deepEqual(participants(shm), before)
  await ended
})

test.serial('drained: what was sent has arrived', async (t) => {
  const shm = openDomain(t)
  const { scheduler, source, sink } = pair(shm)
  const ended = scheduler.run()
  await until(() => sink.stats().items > 1000)
  const report = await scheduler.drain({ timeout: 20_000 })
  t.is(source.stats().items, sink.stats().items)
  t.deepEqual(
    report.blocks.map(({ lost }) => lost),
    [0, 0],
  )
  t.deepEqual(await ended, report)
  t.is(buffersInUse(shm), 0)
})

test.serial('stopped: what is lost is counted', async (t) => {
  const shm = openDomain(t)
  const { scheduler, source, sink } = pair(shm)
  void scheduler.run()
  await until(() => sink.stats().items > 1000)
  await scheduler.stop()
  // Of the source, lost are those that it had made and not sent.
  t.is(source.stats().items, sink.stats().items + sink.stats().lost)
  t.is(buffersInUse(shm), 0)
})

test.serial('ended twice, or after its end: the same report', async (t) => {
  const { scheduler } = pair(openDomain(t))
  const ended = scheduler.run()
  const reports = await Promise.all([scheduler.stop(), scheduler.stop(), scheduler.drain()])
  for (const report of [...reports, await scheduler.drain(), await scheduler.stop()]) t.is(report, await ended)
})

test.serial('a drain that takes too long ends as a stop, and says what it waited for and what is lost', async (t) => {
  const shm = openDomain(t)
  const [from, full] = [shm.portQueue('from', { capacity: 16 }), shm.portQueue('full', { capacity: 4 })]
  for (let i = 0; i < 10; i++) t.true(from.tryPut(new Uint8Array(10)))
  const scheduler = new Scheduler(shm, { threads: 1 })
  const copy = scheduler.add(new Copy(), { name: 'tap' })
  copy.in.connect(from)
  copy.out.connect(full)
  const ended = scheduler.run()
  await until(() => full.depth === 4)
  await rejectsCode(
    t,
    scheduler.drain({ timeout: 20 }),
    'ERR_MILLRACE_TIMEOUT',
    '20 ms',
    '"tap.out" waits for room in queue "full"',
  )
  t.is((await ended).blocks[0]!.itemsOut, 4)
  t.is(buffersInUse(shm), 4 + from.depth)
})

test.serial('paused: nothing moves; resumed: it goes on', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', { capacity: 1024 })
  const scheduler = new Scheduler(shm, { threads: 2 })
  scheduler.add(new NullSource({ size: 10, count: 100 })).out.connect(queue)
  const sink = scheduler.add(new NullSink())
  sink.in.connect(shm.portQueue('other', { capacity: 4 }))
  const ended = scheduler.run()
  await until(() => queue.depth === 100)
  scheduler.pause()
  const other = shm.portQueue('other')
  for (let i = 0; i < 4; i++) t.true(other.trySend(shm.allocate(10)))
  const full = shm.allocate(10)
  await rejectsCode(t, other.send(full, { timeout: 50 }), 'ERR_MILLRACE_TIMEOUT')
  scheduler.resume()
  await other.send(full)
  other.close()
  await ended
  t.is(sink.stats().items, 5)
  while (queue.depth > 0) queue.tryReceive()!.release()
  t.is(buffersInUse(shm), 0)
})

test.serial('a pause ends with a drain', async (t) => {
  const { scheduler, source, sink } = pair(openDomain(t))
  void scheduler.run()
  scheduler.pause()
  await scheduler.drain({ timeout: 20_000 })
  t.is(source.stats().items, sink.stats().items)
})

test.serial('what it has counted while it runs', async (t) => {
  const { scheduler, source, sink } = pair(openDomain(t))
  t.like(sink.stats(), { name: 'NullSink1', state: 'created', items: 0 })
  t.deepEqual(scheduler.stats().blocks, [source.stats(), sink.stats()])
  void scheduler.run()
  await until(() => sink.stats().items > 0)
  const { state, workCalls, busy, workP50, workP99, itemsIn, itemsOut } = source.stats()
  t.is(state, 'running')
  t.true(workCalls > 0 && busy > 0 && workP50 > 0 && workP99 >= workP50 && itemsOut > 0)
  t.is(itemsIn, 0)
  await scheduler.stop()
})

test.serial('the event loop turns while a flow runs', async (t) => {
  const { scheduler } = pair(openDomain(t))
  void scheduler.run()
  const state = () => scheduler.stats().blocks[0]!.state
  await until(() => state() === 'running')
  for (let turns = 0; turns < 1000; turns++) await new Promise((resolve) => setImmediate(resolve))
  t.is(state(), 'running')
  await scheduler.stop()
})

test.serial('closing the manager ends it: no thread and no participant is left', async (t) => {
  const domain = testDomain(t)
  const other = domain.open()
  const before = [participants(other), threads()]
  const shm = domain.open()
  const { scheduler, sink } = pair(shm)
  const ended = scheduler.run()
  await until(() => sink.stats().items > 0)
  shm.close()
  t.deepEqual([participants(other), threads()], before)
  const { state, items } = sink.stats()
  t.is(state, 'stopped')
  t.true(items > 0)
  await rejectsCode(t, ended, 'ERR_MILLRACE_CLOSED', 'manager')
  await rejectsCode(t, scheduler.stop(), 'ERR_MILLRACE_CLOSED', 'manager')
  t.is(buffersInUse(other), 0)
})

test.serial('await using stops it', async (t) => {
  const shm = openDomain(t)
  const before = threads()
  {
    await using scheduler = pair(shm).scheduler
    void scheduler.run()
  }
  t.is(threads(), before)
  {
    await using scheduler = pair(shm).scheduler
    t.false(scheduler.started)
  }
  t.is(buffersInUse(shm), 0)
})

test.serial('200 flows, one after the other: no descriptor, thread, buffer or participant is left', async (t) => {
  t.timeout(60_000)
  const shm = openDomain(t)
  const look = () => [descriptors(), threads(), buffersInUse(shm), participants(shm).length]
  for (let i = 0; i < 20; i++) await pair(shm, 10).scheduler.run()
  const before = look()
  for (let i = 0; i < 200; i++) {
    const { scheduler, sink } = pair(shm, i % 2 === 0 ? 10 : undefined)
    const ended = scheduler.run()
    if (i % 2 === 1) await scheduler.stop()
    await ended
    if (i % 2 === 0) t.is(sink.stats().items, 10)
  }
  // Fewer where something else has ended meanwhile.
  const after = look()
  t.true(
    after.every((count, what) => count <= before[what]!),
    `${after.join()} instead of ${before.join()}`,
  )
})

test.serial('1000 blocks in one scheduler', async (t) => {
  t.timeout(60_000)
  const shm = openDomain(t, { maxBytes: '512MiB' })
  const scheduler = new Scheduler(shm, { threads: 2 })
  const sinks = Array.from({ length: 500 }, () => {
    const source = scheduler.add(new NullSource({ size: 10, count: 20 }))
    const sink = scheduler.add(new NullSink())
    scheduler.link(source.out, sink.in, { capacity: 16 })
    return sink
  })
  await scheduler.run()
  t.true(sinks.every((sink) => sink.stats().items === 20))
  t.is(buffersInUse(shm), 0)
})

test.serial('worker threads with a flow are terminated: no thread and no participant is left', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const before = [participants(shm), buffersInUse(shm)]
  for (let i = 0; i < 5; i++) {
    const worker = new Worker(new URL('../fixtures/flow-worker.js', import.meta.url), { workerData: domain.name })
    await once(worker, 'message')
    t.is(participants(shm).length, 3)
    await worker.terminate()
    t.deepEqual([participants(shm), buffersInUse(shm)], before)
  }
})
