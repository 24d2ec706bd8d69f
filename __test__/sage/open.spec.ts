import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { SageQueue, SageQueueManager, type SageQueueOptions, ShmManager } from '../../index.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { another, openSage, testNamespace } from '../helpers/sage.js'

test('options that differ from what exists', (t) => {
  const q = openSage(t, { maxsize: 10, codec: 'json', acknowledge: 'get', maxDeliveries: 3 })
  const open = (options: SageQueueOptions<unknown>) => () => another(t, q, options)
  const alone = 'was asked for: nobody else has it open: destroy it first'
  for (const [options, says] of [
    [{ maxsize: 11 }, 'maxsize 10, 11'],
    [{ maxsize: 5000 }, 'maxsize 10, 5000'],
    [{ codec: 'v8' }, 'codec "json", "v8"'],
    [{ acknowledge: 'taskDone' }, 'acknowledge "get", "taskDone"'],
    [{ maxDeliveries: 4 }, 'maxDeliveries 3, 4'],
    [{ maxDeliveries: Infinity }, 'maxDeliveries 3, 0'],
  ] as const) {
    throwsCode(t, open(options), 'ERR_MILLRACE_OPTIONS_MISMATCH', `SageQueue "jobs" exists with ${says} ${alone}`)
  }
  throwsCode(
    t,
    () => new SageQueue('jobs.dead', { namespace: q.namespace, maxDeliveries: 2 }),
    'ERR_MILLRACE_INVALID_ARGUMENT',
    'SageQueue "jobs.dead" has no maxDeliveries',
  )
  throwsCode(t, open({ maxBytes: '1GiB' }), 'ERR_MILLRACE_OPTIONS_MISMATCH')
  for (const maxsize of [0, -1, 1.5, 2 ** 21])
    throwsCode(t, open({ maxsize }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'maxsize')
  throwsCode(t, open({ acknowledge: 'auto' as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'auto')
  t.is(another(t, q).getStats().codec, 'json')
})

test('a mismatch tells who has the queue open', async (t) => {
  const namespace = testNamespace(t)
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads')
     const { SageQueue } = require(workerData.module)
     globalThis.queue = new SageQueue('jobs', { namespace: workerData.namespace, acknowledge: 'get' })
     const { parentPort } = require('node:worker_threads')
     parentPort.once('message', () => globalThis.queue.close())
     parentPort.postMessage('open')`,
    { eval: true, workerData: { namespace, module: join(import.meta.dirname, '../../index.cjs') } },
  )
  await once(worker, 'message')
  throwsCode(
    t,
    () => new SageQueue('jobs', { namespace, acknowledge: 'taskDone' }),
    'ERR_MILLRACE_OPTIONS_MISMATCH',
    `SageQueue "jobs" exists with acknowledge "get", "taskDone" was asked for: "${basename(process.execPath)} `,
    `(process ${process.pid}) has it open`,
  )
  worker.postMessage('close')
  await once(worker, 'exit')
})

test('options are those of whoever names them first, in either order, for those who have the queue open already', async (t) => {
  const first = openSage<number[]>(t)
  t.is(first.maxsize, 1024)
  // What it has in hand stays in hand.
  await another(t, first, { maxsize: 2000, codec: 'msgpack' }).put([1])
  t.deepEqual(await first.get(), [1])
  const second = another(t, first, { acknowledge: 'get', maxDeliveries: 1 })
  t.deepEqual([first.maxsize, first.getStats().codec, first.getStats().inWork], [2000, 'msgpack', 1])
  first.taskDone()
  await first.put([2])
  await second.put([3])
  t.deepEqual([await first.get(), await first.get()], [[2], [3]])
  t.is(first.getStats().inWork, 0)
  throwsCode(t, () => another(t, first, { acknowledge: 'taskDone' }), 'ERR_MILLRACE_OPTIONS_MISMATCH')
})

test('who puts first without a codec has named it', async (t) => {
  const first = openSage<Date>(t)
  const second = another(t, first)
  await second.put(new Date(5))
  throwsCode(t, () => another(t, first, { codec: 'msgpack' }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'codec "v8", "msgpack"')
  t.deepEqual(await first.get(), new Date(5))
})

test('names', (t) => {
  const namespace = testNamespace(t)
  for (const name of ['', 'a b', '-x', 'x'.repeat(59), 7]) {
    throwsCode(t, () => new SageQueue(name as string, { namespace }), 'ERR_MILLRACE_INVALID_NAME')
  }
  throwsCode(t, () => new SageQueue('jobs', { namespace: 'a.b' }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'a.b')
  using longest = new SageQueue('x'.repeat(58), { namespace })
  longest.putNowait(1)
  t.is(longest.getNowait(), 1)
})

test('all queues of a namespace share one participant, until the last is closed', (t) => {
  const namespace = testNamespace(t)
  const queues = ['a', 'b', 'c', 'a'].map((name) => new SageQueue(name, { namespace }))
  using shm = ShmManager.open(`sage.${namespace}`)
  t.is(shm.registry.snapshot().participants.length, 2)
  for (const queue of queues) {
    t.is(shm.registry.snapshot().participants.length, 2)
    queue.close()
  }
  t.is(shm.registry.snapshot().participants.length, 1)
  t.is(
    shm.stats().pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0),
    0,
  )
})

test('tenants do not meet', async (t) => {
  const [a, b] = [openSage<string>(t, { maxsize: 2 }), openSage<string>(t, { maxsize: 3 })]
  await a.put('of a')
  throwsCode(t, () => b.getNowait(), 'ERR_MILLRACE_EMPTY')
  await b.put('of b')
  t.is(await a.get(), 'of a')
  a.destroy()
  t.is(await b.get(), 'of b')
  t.deepEqual(
    SageQueueManager.list({ namespace: b.namespace }).map(({ name }) => name),
    ['jobs'],
  )
  t.deepEqual(SageQueueManager.list({ namespace: a.namespace }), [])
})

test('SageQueueManager: list, get, destroy, cleanup', async (t) => {
  const namespace = testNamespace(t)
  t.deepEqual(SageQueueManager.list({ namespace }), [])
  t.is(SageQueueManager.get('jobs', { namespace }), undefined)
  t.false(SageQueueManager.destroy('jobs', { namespace }))
  using q = new SageQueue<number>('jobs', { namespace, maxsize: 1 })
  await q.put(1)
  await rejectsCode(t, q.put(2, { timeout: 10 }), 'ERR_MILLRACE_FULL')
  const entry = { name: 'jobs', maxsize: 1, codec: 'v8', size: 1, inWork: 0, closed: false, attached: 1 }
  t.deepEqual(SageQueueManager.list({ namespace }), [entry])
  using same = SageQueueManager.get<number>('jobs', { namespace })!
  t.is(await same.get(), 1)
  t.deepEqual(SageQueueManager.cleanup({ namespace, all: true }), [])
  t.true(SageQueueManager.destroy('jobs', { namespace }))
  throwsCode(t, () => q.qsize(), 'ERR_MILLRACE_DESTROYED')
  t.deepEqual(SageQueueManager.list({ namespace }), [])
})

test('using closes an end', async (t) => {
  const namespace = testNamespace(t)
  let kept
  {
    using q = new SageQueue<number>('jobs', { namespace })
    await q.put(1)
    kept = q
  }
  t.true(kept.closed)
})

test('a queue knows nothing of others, whatever their names and kinds', async (t) => {
  const namespace = testNamespace(t)
  const names = ['jobs', 'jobs.done', 'jobs.room', 'jobs.over', 'jobs.dead']
  const queues = names.map((name) => new SageQueue<string>(name, { namespace, maxsize: 1 }))
  using shm = ShmManager.open(`sage.${namespace}`)
  const frames = shm.portQueue('jobs', { capacity: 2 })
  for (const queue of queues) await queue.put(`of ${queue.name}`)
  const [jobs] = queues
  // Waits for room, for something to come, and for all to be finished: with these it was that names met.
  const waits = [jobs!.put('second'), jobs!.join()]
  t.is(frames.depth, 0)
  t.is(jobs!.getNowait(), 'of jobs')
  jobs!.taskDone()
  t.is(await jobs!.get(), 'second')
  jobs!.taskDone()
  await Promise.all(waits)
  jobs!.shutdown()
  jobs!.destroy()
  for (const queue of queues.slice(1)) {
    t.is(queue.qsize(), 1)
    t.is(queue.getNowait(), `of ${queue.name}`)
    queue.destroy()
  }
  t.deepEqual(frames.info?.name, 'jobs')
})

test('SageQueueManager takes names of what every object has for names', (t) => {
  const namespace = testNamespace(t)
  for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
    t.is(SageQueueManager.get(name, { namespace }), undefined)
    t.false(SageQueueManager.destroy(name, { namespace }))
    t.deepEqual(SageQueueManager.list({ namespace }), [])
    using q = new SageQueue(name, { namespace })
    t.deepEqual(SageQueueManager.list({ namespace }).map((entry) => entry.name), [name]) // prettier-ignore
    using same = SageQueueManager.get(name, { namespace })!
    t.is(same.name, name)
    q.destroy()
  }
})

test('who has a queue open is counted queue by queue', (t) => {
  const namespace = testNamespace(t)
  using q = new SageQueue('a', { namespace })
  const ends = [new SageQueue('b', { namespace }), new SageQueue('b', { namespace })]
  const attached = () => Object.fromEntries(SageQueueManager.list({ namespace }).map((e) => [e.name, e.attached]))
  t.deepEqual(attached(), { a: 1, b: 1 })
  ends[0]!.close()
  t.deepEqual(attached(), { a: 1, b: 1 })
  t.is(ends[1]!.qsize(), 0)
  ends[1]!.close()
  t.deepEqual(attached(), { a: 1, b: 0 })
  t.deepEqual(SageQueueManager.cleanup({ namespace }), ['b'])
  t.is(q.qsize(), 0)
})

test('the environment names the directory of each queue when that is opened', (t) => {
  const before = process.env['MILLRACE_DIR']
  const directories = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'millrace-sage-')))
  t.teardown(() => {
    if (before === undefined) delete process.env['MILLRACE_DIR']
    else process.env['MILLRACE_DIR'] = before
    for (const directory of directories) rmSync(directory, { recursive: true })
  })
  const queues = directories.map((directory) => {
    process.env['MILLRACE_DIR'] = directory
    return new SageQueue<string>('jobs', { codec: 'json' })
  })
  queues[0]!.putNowait('in the first')
  t.deepEqual(
    queues.map((queue) => queue.qsize()),
    [1, 0],
  )
  for (const queue of queues) queue.close()
})
