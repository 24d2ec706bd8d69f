// What the first origin's report could not test on its mock, and what it did not dream of: with real processes, exact counts.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import { SageQueue, SageQueueManager, ShmManager } from '../../index.js'
import type { Haul, SageConsumeArgs } from '../fixtures/sage-consume.js'
import type { SageCycleArgs } from '../fixtures/sage-cycle.js'
import type { SageHoldArgs } from '../fixtures/sage-hold.js'
import type { Parcel, SageProduceArgs } from '../fixtures/sage-produce.js'
import { rejectsCode } from '../helpers/errors.js'
import { testNamespace } from '../helpers/sage.js'
import type { WorkerData } from '../fixtures/worker.js'
import { type Child, startChild, until } from './children.js'

const produce = (t: ExecutionContext, args: SageProduceArgs) => startChild(t, 'sage-produce', args)
const consume = (t: ExecutionContext, args: SageConsumeArgs) => startChild(t, 'sage-consume', args)
const cycle = (t: ExecutionContext, args: SageCycleArgs) => startChild(t, 'sage-cycle', args)
const hold = (t: ExecutionContext, args: SageHoldArgs) => startChild(t, 'sage-hold', args)

/** Names of the values of `producers` that put `count` each. */
function namesOf(producers: number[], count: number): string[] {
  return producers.flatMap((producer) => Array.from({ length: count }, (_, i) => `${producer}:${i}`)).toSorted()
}

async function haulOf(child: Child): Promise<Haul> {
  const haul = await (await child.started()).hear<Haul>()
  await child.done()
  return haul
}

interface Stream {
  namespace: string
  queue: string
  producers: number[]
  consumers: number
  count: number
  bytes: number
  maxsize: number
}

/** Runs producers and consumers in processes of their own to the end, and checks that everything came once, in order. */
async function stream(t: ExecutionContext, { producers, consumers, ...rest }: Stream): Promise<void> {
  const { namespace, queue, count, maxsize } = rest
  using q = new SageQueue(queue, { namespace, maxsize })
  const getting = Array.from({ length: consumers }, () => consume(t, { namespace, queue, count: null, maxsize }))
  const putting = producers.map((producer) => produce(t, { ...rest, producer }))
  await Promise.all(putting.map((child) => child.done()))
  q.shutdown()
  const hauls = await Promise.all(getting.map(haulOf))
  t.deepEqual(hauls.flatMap(({ names }) => names).toSorted(), namesOf(producers, count))
  for (const { names, damaged, ended } of hauls) {
    t.is(damaged, 0)
    t.is(ended, 'ERR_MILLRACE_CLOSED')
    for (const producer of producers) {
      const own = names.filter((name) => name.startsWith(`${producer}:`)).map((name) => Number(name.split(':')[1]))
      t.deepEqual(own, own.toSorted((a, b) => a - b)) // prettier-ignore
    }
  }
  using shm = ShmManager.open(`sage.${namespace}`)
  const { highWater } = shm.registry.snapshot().workQueues.find(({ name }) => name === queue)!
  t.true(highWater <= maxsize, `${highWater} values in a queue of ${maxsize}`)
  const all = producers.length * count
  t.like(q.getStats(), { size: 0, inWork: 0, put: all, got: all, redelivered: 0, closed: true })
}

test.serial('2 + 2 processes, 200 values of 1024 bytes each: 400 of 400', async (t) => {
  const namespace = testNamespace(t)
  await stream(t, { namespace, queue: 'q', producers: [0, 1], consumers: 2, count: 200, bytes: 1024, maxsize: 1024 })
})

test.serial('the same through a queue of 3', async (t) => {
  const namespace = testNamespace(t)
  await stream(t, { namespace, queue: 'q', producers: [0, 1], consumers: 2, count: 200, bytes: 1024, maxsize: 3 })
})

test.serial('4 processes of 30 lifecycles each: 120 of 120 destroyed cleanly', async (t) => {
  const namespace = testNamespace(t)
  const children = Array.from({ length: 4 }, (_, i) => cycle(t, { namespace, queue: `life-${i}`, cycles: 30 }))
  let clean = 0
  for (const child of children) {
    clean += (await (await child.started()).hear<{ clean: number }>()).clean
    await child.done()
  }
  t.is(clean, 120)
  t.deepEqual(SageQueueManager.list({ namespace }), [])
})

test.serial('6 processes of all kinds, 3 queues, 150 values each', async (t) => {
  t.timeout(120_000)
  const namespace = testNamespace(t)
  const queues = ['a', 'b', 'c']
  const lives = [0, 1].map((i) => cycle(t, { namespace, queue: `life-${i}`, cycles: 20 }))
  for (const queue of queues) {
    await stream(t, { namespace, queue, producers: [0, 1], consumers: 2, count: 150, bytes: 256, maxsize: 50 })
  }
  for (const child of lives) {
    t.deepEqual(await (await child.started()).hear(), { clean: 20 })
    await child.done()
  }
})

test.serial('14 processes on one queue', async (t) => {
  t.timeout(120_000)
  const namespace = testNamespace(t)
  const producers = [...Array(7).keys()]
  await stream(t, { namespace, queue: 'q', producers, consumers: 7, count: 100, bytes: 512, maxsize: 20 })
})

test.serial('tenants do not meet: the same names in three namespaces at once', async (t) => {
  t.timeout(120_000)
  const namespaces = [testNamespace(t), testNamespace(t), testNamespace(t)]
  const tenants = namespaces.map((namespace, i) => ({ namespace, producers: [10 * i, 10 * i + 1] }))
  const rest = { queue: 'q', consumers: 1, count: 100, bytes: 300, maxsize: 10 }
  await Promise.all(tenants.map((tenant) => stream(t, { ...tenant, ...rest })))
})

test.serial('a queue is opened by name from any process, whoever makes it', async (t) => {
  const namespace = testNamespace(t)
  const child = consume(t, { namespace, queue: 'q', count: 1 })
  await child.started()
  using q = SageQueueManager.get<Parcel>('q', { namespace })!
  t.like(q.getStats(), { maxsize: 1024, attached: 2 })
  await produce(t, { namespace, queue: 'q', producer: 3, count: 1, bytes: 70_000 }).done()
  t.deepEqual(await child.hear(), { names: ['3:0'], damaged: 0, ended: 'none' })
  await child.done()
})

test.serial('a queue destroyed by another process: an error that says so', async (t) => {
  const namespace = testNamespace(t)
  using q = new SageQueue('q', { namespace })
  const child = consume(t, { namespace, queue: 'q', count: null })
  await child.started()
  await until(() => q.getStats().attached === 2)
  t.true(SageQueueManager.destroy('q', { namespace }))
  t.is((await child.hear<Haul>()).ended, 'ERR_MILLRACE_DESTROYED')
  await child.done()
  await rejectsCode(t, q.put(1), 'ERR_MILLRACE_DESTROYED', 'queue "q"')
})

test.serial('kill -9 between get and taskDone: join neither ends nor hangs', async (t) => {
  const namespace = testNamespace(t)
  using q = new SageQueue<number>('q', { namespace })
  for (const value of [1, 2, 3]) await q.put(value)
  const victim = hold(t, { namespace, queue: 'q', count: 2, ending: 'wait' })
  t.deepEqual(await victim.hear(), [1, 2])
  const joined = q.join()
  t.is(await q.get(), 3)
  q.taskDone()
  t.like(q.getStats(), { size: 0, inWork: 2 })
  let over = false
  void joined.then(() => (over = true))
  await victim.kill()
  await until(() => q.qsize() === 2)
  t.false(over)
  const heir = hold(t, { namespace, queue: 'q', count: 2, ending: 'wait' })
  t.deepEqual(await heir.hear(), [1, 2])
  t.false(over)
  heir.say('finish')
  await joined
  await heir.done()
  t.like(q.getStats(), { size: 0, inWork: 0, redelivered: 2 })
})

test.serial('kill -9 of the only other worker: its values can be got here', async (t) => {
  const namespace = testNamespace(t)
  using q = new SageQueue<number>('q', { namespace })
  for (const value of [1, 2, 3]) await q.put(value)
  const victim = hold(t, { namespace, queue: 'q', count: 3, ending: 'wait' })
  await victim.hear()
  const got = [q.get(), q.get(), q.get()]
  await victim.kill()
  t.deepEqual(await Promise.all(got), [1, 2, 3])
})

for (const ending of ['end', 'throw'] as const) {
  test.serial(`what a worker has not finished comes back: it comes to its ${ending}`, async (t) => {
    const namespace = testNamespace(t)
    using q = new SageQueue<number>('q', { namespace })
    for (const value of [1, 2, 3]) await q.put(value)
    const worker = hold(t, { namespace, queue: 'q', count: 2, ending })
    t.deepEqual(await worker.hear(), [1, 2])
    const { code } = await worker.ended
    t.is(code, ending === 'end' ? 0 : 1)
    await until(() => q.getStats().inWork === 0)
    for (const value of [1, 2, 3]) t.is(await q.get(), value)
  })
}

test.serial('what a worker thread has in work comes back when it is terminated', async (t) => {
  const namespace = testNamespace(t)
  using q = new SageQueue<string>('jobs', { namespace })
  await q.put('job')
  const workerData: WorkerData = { job: 'work', domain: `sage.${namespace}` }
  const worker = new Worker(new URL('../fixtures/worker.js', import.meta.url), { workerData })
  t.deepEqual(await once(worker, 'message'), ['job'])
  t.like(q.getStats(), { size: 0, inWork: 1, attached: 2 })
  await worker.terminate()
  t.is(await q.get(), 'job')
})

test.serial('workers that wait for more of a queue that was shut down do not wait for each other', async (t) => {
  const namespace = testNamespace(t)
  using q = new SageQueue<number>('q', { namespace })
  for (const value of [1, 2]) await q.put(value)
  const other = hold(t, { namespace, queue: 'q', count: 1, ending: 'get' })
  t.deepEqual(await other.hear(), [1])
  t.is(await q.get(), 2)
  const waiting = q.get()
  other.say('get')
  q.shutdown()
  // Each has what the other one could get if it died.
  await rejectsCode(t, waiting, 'ERR_MILLRACE_CLOSED', 'shut down')
  t.is(await other.hear(), 'ERR_MILLRACE_CLOSED')
  q.taskDone(2)
  // Now it may come: that one ends without finishing what it has.
  const last = q.get()
  other.say('end')
  t.is(await last, 1)
  await other.done()
})

test.serial('workers and producers killed at random: every value is finished, join ends when it is', async (t) => {
  t.timeout(180_000)
  const namespace = testNamespace(t)
  const [count, producers] = [300, [0, 1, 2]]
  using q = new SageQueue<Parcel>('q', { namespace, maxsize: 5 })
  using reports = new SageQueue<string>('reports', { namespace, maxsize: 100_000, acknowledge: 'get' })
  const worker = () => consume(t, { namespace, queue: 'q', count: null, report: 'reports' })
  const workers = [worker(), worker(), worker()]
  await Promise.all(workers.map((child) => child.started()))
  const putting = producers.map((producer) => produce(t, { namespace, queue: 'q', producer, count, bytes: 100 }))
  // One more that waits for room when it is killed, now and then.
  const nuisance = { namespace, queue: 'q', producer: 9, count: 1_000_000, bytes: 10 }
  let victim = produce(t, nuisance)
  for (let kills = 0; kills < 12; kills++) {
    const before = reports.qsize()
    await until(() => reports.qsize() >= before + 20 + ((kills * 37) % 50))
    const place = kills % 3
    await workers[place]!.kill()
    workers[place] = worker()
    await victim.kill()
    victim = produce(t, nuisance)
  }
  await victim.kill()
  await Promise.all(putting.map((child) => child.done()))
  await q.join()
  // Whoever finished a value had reported it before.
  const reported = new Set<string>()
  while (!reports.empty()) reported.add(reports.getNowait())
  t.like(q.getStats(), { size: 0, inWork: 0 })
  t.deepEqual([...reported].filter((name) => !name.startsWith('9:')).toSorted(), namesOf(producers, count))
  q.shutdown()
  for (const child of workers) {
    t.is((await haulOf(child)).damaged, 0)
  }
})

test.serial('what crashed processes have left is cleaned up', async (t) => {
  const namespace = testNamespace(t)
  using shm = ShmManager.open(`sage.${namespace}`)
  const victim = hold(t, { namespace, queue: 'full', count: 0, ending: 'wait' })
  await victim.hear()
  const other = hold(t, { namespace, queue: 'empty', count: 0, ending: 'wait' })
  await other.hear()
  await produce(t, { namespace, queue: 'full', producer: 0, count: 2, bytes: 10 }).done()
  t.deepEqual(SageQueueManager.cleanup({ namespace, all: true }), [])
  await Promise.all([victim.kill(), other.kill()])
  await until(() => shm.registry.snapshot().participants.length === 1)
  t.deepEqual(SageQueueManager.cleanup({ namespace }), ['empty'])
  t.deepEqual(SageQueueManager.list({ namespace }).map(({ name, size }) => ({ name, size })), [{ name: 'full', size: 2 }]) // prettier-ignore
  t.deepEqual(SageQueueManager.cleanup({ namespace, all: true }), ['full'])
  t.deepEqual(shm.registry.snapshot().workQueues, [])
})
