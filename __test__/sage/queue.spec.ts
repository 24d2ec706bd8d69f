import { setImmediate } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { type Codec, SageQueue, SageQueueManager, type SageQueueOptions, ShmManager } from '../../index.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { testNamespace } from '../helpers/sage.js'

/** A queue in a namespace of the test's own, closed when the test ends. */
function openSage<T = unknown>(t: ExecutionContext, options: SageQueueOptions<T> = {}): SageQueue<T> {
  const queue = new SageQueue<T>('jobs', { namespace: testNamespace(t), ...options })
  t.teardown(() => queue.close())
  return queue
}

/** Another end of `queue`. */
function another<T>(t: ExecutionContext, queue: SageQueue<T>, options: SageQueueOptions<T> = {}): SageQueue<T> {
  const end = new SageQueue<T>(queue.name, { namespace: queue.namespace, ...options })
  t.teardown(() => end.close())
  return end
}

/** Whether `promise` is still open after the event loop has turned a few times. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  const settle = () => (pending = false)
  void promise.then(settle, settle)
  for (let i = 0; i < 20; i++) await setImmediate()
  return pending
}

test('values of any kind, first in first out', async (t) => {
  const q = openSage(t)
  const values = [
    1,
    'text',
    null,
    undefined,
    { id: 1, at: new Date(5) },
    new Map([[1, new Set(['x'])]]),
    2n ** 70n,
    [NaN],
  ]
  for (const value of values) await q.put(value)
  t.is(q.qsize(), values.length)
  for (const value of values) t.deepEqual(await q.get(), value)
  t.true(q.empty())
})

test('what cannot be cloned is refused at the call, even while the queue is full', async (t) => {
  const q = openSage(t, { maxsize: 1 })
  await q.put(1)
  await t.throwsAsync(
    q.put(() => 1),
    { message: /could not be cloned/ },
  )
  t.throws(() => q.putNowait(Symbol('s')), { message: /could not be cloned/ })
  t.is(q.qsize(), 1)
})

test('maxsize is exact, a power of two or not', async (t) => {
  const namespace = testNamespace(t)
  for (const maxsize of [1, 2, 3, 10, 1000, 1500]) {
    using q = new SageQueue<number>(`q${maxsize}`, { namespace, maxsize })
    for (let i = 0; i < maxsize; i++) q.putNowait(i)
    t.true(q.full())
    t.is(q.qsize(), maxsize)
    throwsCode(t, () => q.putNowait(-1), 'ERR_MILLRACE_FULL', `q${maxsize}`, String(maxsize))
    await rejectsCode(t, q.put(-1, { timeout: 0.01 }), 'ERR_MILLRACE_FULL', '0.01 s')
    t.is(q.getNowait(), 0)
    t.false(q.full())
    await q.put(maxsize)
    for (let i = 1; i <= maxsize; i++) t.is(await q.get(), i)
    t.true(q.empty())
    q.destroy()
  }
})

test('get, getNowait and peek on an empty queue', async (t) => {
  const q = openSage(t)
  throwsCode(t, () => q.getNowait(), 'ERR_MILLRACE_EMPTY', 'jobs')
  throwsCode(t, () => q.peek(), 'ERR_MILLRACE_EMPTY', 'jobs')
  await rejectsCode(t, q.get({ timeout: 0 }), 'ERR_MILLRACE_EMPTY', '0 s')
  await rejectsCode(t, q.get({ timeout: 0.02 }), 'ERR_MILLRACE_EMPTY', '0.02 s')
  const aborter = new AbortController()
  const got = q.get({ signal: aborter.signal })
  aborter.abort(new RangeError('enough'))
  await t.throwsAsync(got, { instanceOf: RangeError })
  for (const timeout of [-1, NaN, '5', 2 ** 31]) {
    await rejectsCode(t, q.get({ timeout: timeout as number }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'seconds')
  }
})

test('peek leaves the value', async (t) => {
  const q = openSage(t)
  await q.put({ id: 1 })
  t.deepEqual(q.peek(), { id: 1 })
  t.deepEqual(q.peek(), { id: 1 })
  t.is(q.qsize(), 1)
  t.deepEqual(q.getNowait(), { id: 1 })
})

test('waiting puts keep their order and go on as room comes', async (t) => {
  const q = openSage<number>(t, { maxsize: 3 })
  const puts = Array.from({ length: 50 }, (_, i) => q.put(i))
  t.true(await isPending(puts[3]!))
  t.is(q.qsize(), 3)
  for (let i = 0; i < 50; i++) {
    t.is(await q.get(), i)
    t.true(q.qsize() <= 3)
  }
  await Promise.all(puts)
})

test('a put that gives up lets those behind it through, in order', async (t) => {
  const q = openSage<number>(t, { maxsize: 1 })
  await q.put(0)
  const aborter = new AbortController()
  const [first, second, third, fourth] = [
    q.put(1),
    q.put(2, { signal: aborter.signal }),
    q.put(3),
    q.put(4, { timeout: 0.01 }),
  ]
  aborter.abort(new RangeError('enough'))
  await t.throwsAsync(second, { instanceOf: RangeError })
  await rejectsCode(t, fourth, 'ERR_MILLRACE_FULL')
  for (const value of [0, 1, 3]) t.is(await q.get(), value)
  await Promise.all([first, third])
  throwsCode(t, () => q.getNowait(), 'ERR_MILLRACE_EMPTY')
})

test('the same over two ends', async (t) => {
  const q = openSage<number>(t, { maxsize: 2 })
  const other = another(t, q)
  t.is(other.maxsize, 2)
  const puts = Array.from({ length: 20 }, (_, i) => [q.put(i), other.put(100 + i)]).flat()
  const got: number[] = []
  while (got.length < 40) got.push(await (got.length % 2 === 0 ? q : other).get())
  await Promise.all(puts)
  t.deepEqual(
    got.filter((value) => value < 100),
    [...Array(20).keys()],
  )
  t.deepEqual(got.filter((value) => value >= 100), [...Array(20).keys()].map((i) => 100 + i)) // prettier-ignore
})

test('join waits for every taskDone, as queue.Queue does', async (t) => {
  const q = openSage(t)
  await q.join()
  for (let i = 0; i < 3; i++) await q.put(i)
  const joined = [q.join(), another(t, q).join(), q.join({ timeout: 50 })]
  t.true(await isPending(joined[0]!))
  for (let i = 0; i < 3; i++) await q.get()
  t.true(q.empty())
  q.taskDone()
  q.taskDone()
  t.true(await isPending(joined[1]!))
  t.is(q.getStats().inWork, 1)
  q.taskDone()
  await Promise.all(joined)
  throwsCode(t, () => q.taskDone(), 'ERR_MILLRACE_NOT_HELD', 'jobs')
  await rejectsCode(
    t,
    q.put(1).then(() => q.join({ timeout: 0.01 })),
    'ERR_MILLRACE_TIMEOUT',
    '0.01 s',
  )
})

test('a task that puts tasks does not end join early', async (t) => {
  const q = openSage<number>(t)
  const worker = another(t, q)
  let done = 0
  const work = async () => {
    for (;;) {
      const depth = await worker.get()
      await setImmediate()
      if (depth > 0) await Promise.all([worker.put(depth - 1), worker.put(depth - 1)])
      done++
      worker.taskDone(depth)
    }
  }
  const workers = [work(), work(), work()]
  await q.put(7)
  await q.join()
  t.is(done, 2 ** 8 - 1)
  worker.close()
  for (const each of workers) await rejectsCode(t, each, 'ERR_MILLRACE_CLOSED')
})

test('taskDone of a value, giveBack of a value', async (t) => {
  const q = openSage<{ id: number } | string>(t)
  for (const id of [1, 2, 3]) await q.put({ id })
  const [a, b, c] = [await q.get(), await q.get(), await q.get()]
  q.taskDone(b)
  throwsCode(t, () => q.taskDone(b), 'ERR_MILLRACE_NOT_HELD', '2 values')
  throwsCode(t, () => q.taskDone('b'), 'ERR_MILLRACE_NOT_HELD')
  q.giveBack(c)
  t.deepEqual(q.getNowait(), { id: 3 })
  t.is(q.getStats().redelivered, 1)
  q.giveBack()
  t.deepEqual(q.getNowait(), a)
  t.is(q.getStats().inHand, 2)
})

test('what is not finished goes back when its end closes', async (t) => {
  const q = openSage<number>(t, { acknowledge: 'taskDone' })
  for (let i = 0; i < 5; i++) await q.put(i)
  const worker = another(t, q)
  for (let i = 0; i < 4; i++) t.is(worker.getNowait(), i)
  worker.taskDone(2)
  worker.close()
  t.is(q.qsize(), 4)
  for (const value of [0, 1, 3, 4]) t.is(q.getNowait(), value)
})

test('who never calls taskDone need not', async (t) => {
  const q = openSage<number>(t, { maxsize: 3000 })
  const worker = another(t, q)
  for (let i = 0; i < 3000; i++) q.putNowait(i)
  for (let i = 0; i < 3000; i++) t.is(worker.getNowait(), i)
  t.true(worker.getStats().inWork <= 32)
  const joined = q.join()
  worker.close()
  await joined
  t.like(q.getStats(), { size: 0, inWork: 0, put: 3000, got: 3000, redelivered: 0 })
})

test('what is in hand unasked is bounded in bytes, too', async (t) => {
  const q = openSage<Uint8Array>(t, { maxBytes: '16MiB', maxsize: 2000 })
  const put = (async () => {
    for (let i = 0; i < 100; i++) await q.put(new Uint8Array(900_000).fill(i))
  })()
  for (let i = 0; i < 100; i++) t.is((await q.get())[0], i)
  await put
})

test('taskDone calls made late, for more values than are kept in hand', async (t) => {
  const q = openSage<number>(t)
  for (let i = 0; i < 100; i++) q.putNowait(i)
  for (let i = 0; i < 100; i++) q.getNowait()
  for (let i = 0; i < 100; i++) q.taskDone()
  throwsCode(t, () => q.taskDone(), 'ERR_MILLRACE_NOT_HELD')
  await q.join()
})

test("acknowledge: 'get' finishes a value at once", async (t) => {
  const q = openSage<number>(t, { acknowledge: 'get' })
  for (let i = 0; i < 5; i++) q.putNowait(i)
  for (let i = 0; i < 5; i++) t.is(await q.get(), i)
  t.is(q.getStats().inWork, 0)
  await q.join()
  throwsCode(
    t,
    () => new SageQueue('jobs', { acknowledge: 'never' as never }),
    'ERR_MILLRACE_INVALID_ARGUMENT',
    'never',
  )
})

test('what was delivered too often goes to the dead letters', async (t) => {
  const q = openSage<string>(t, { maxDeliveries: 2 })
  await q.put('poison')
  await q.put('food')
  const joined = q.join()
  for (let i = 0; i < 2; i++) {
    t.is(await q.get(), 'poison')
    q.giveBack()
  }
  t.is(await q.get(), 'food')
  q.taskDone()
  await joined
  t.like(q.getStats(), { size: 0, inWork: 0 })
  using dead = new SageQueue('jobs.dead', { namespace: q.namespace })
  t.is(dead.getNowait(), 'poison')
})

test('values that cannot be decoded go back', async (t) => {
  const fragile: Codec<string> = {
    name: 'fragile',
    encode: (text) => text,
    decode: (bytes) => {
      if (bytes.length === 3) throw new RangeError('three')
      return Buffer.from(bytes).toString()
    },
  }
  const q = openSage(t, { codec: fragile, maxDeliveries: 3 })
  await q.put('abc')
  await q.put('defg')
  for (let i = 0; i < 3; i++) await t.throwsAsync(q.get(), { instanceOf: RangeError })
  t.is(await q.get(), 'defg')
})

test('shutdown: no more, and what is left can be got', async (t) => {
  const q = openSage<number>(t, { maxsize: 2 })
  const other = another(t, q)
  await q.put(1)
  await q.put(2)
  const waiting = [q.put(3), other.put(4)]
  t.true(await isPending(waiting[1]!))
  other.shutdown()
  for (const put of waiting) await rejectsCode(t, put, 'ERR_MILLRACE_CLOSED', 'jobs')
  throwsCode(t, () => q.putNowait(5), 'ERR_MILLRACE_CLOSED')
  t.is(await q.get(), 1)
  t.is(other.getNowait(), 2)
  throwsCode(t, () => q.getNowait(), 'ERR_MILLRACE_CLOSED')
  await rejectsCode(t, q.get(), 'ERR_MILLRACE_CLOSED')
  t.true(q.getStats().closed)
})

test('close concerns this end alone', async (t) => {
  const q = openSage<number>(t, { maxsize: 1 })
  const other = another(t, q)
  const got = other.get()
  other.close()
  await rejectsCode(t, got, 'ERR_MILLRACE_CLOSED', 'end')
  other.close()
  await q.put(1)
  const third = another(t, q)
  const put = third.put(2)
  third.close()
  await rejectsCode(t, put, 'ERR_MILLRACE_CLOSED')
  for (const call of [
    () => other.qsize(),
    () => other.peek(),
    () => other.getNowait(),
    () => other.taskDone(),
    () => other.getStats(),
  ]) {
    throwsCode(t, call, 'ERR_MILLRACE_CLOSED')
  }
  await rejectsCode(t, other.put(1), 'ERR_MILLRACE_CLOSED')
  await rejectsCode(t, other.join(), 'ERR_MILLRACE_CLOSED')
  t.is(await q.get(), 1)
})

test('destroy ends everything for everybody', async (t) => {
  const q = openSage<number>(t, { maxsize: 1 })
  const other = another(t, q)
  const join = other.put(0).then(() => other.join())
  const put = other.put(1)
  t.true(await isPending(put))
  q.destroy()
  q.destroy()
  await rejectsCode(t, put, 'ERR_MILLRACE_DESTROYED', 'jobs')
  await rejectsCode(t, join, 'ERR_MILLRACE_DESTROYED', 'jobs')
  for (const call of [
    () => other.qsize(),
    () => other.peek(),
    () => other.getNowait(),
    () => other.putNowait(1),
    () => other.getStats(),
  ]) {
    throwsCode(t, call, 'ERR_MILLRACE_DESTROYED', 'jobs')
  }
  await rejectsCode(t, other.get(), 'ERR_MILLRACE_DESTROYED', 'jobs')
  using fresh = new SageQueue<number>('jobs', { namespace: q.namespace, maxsize: 7 })
  await fresh.put(5)
  t.is(await fresh.get(), 5)
  throwsCode(t, () => other.qsize(), 'ERR_MILLRACE_DESTROYED')
  throwsCode(t, () => q.qsize(), 'ERR_MILLRACE_CLOSED')
})

test('options that differ from what exists', (t) => {
  const q = openSage(t, { maxsize: 10, codec: 'json' })
  const open = (options: SageQueueOptions<unknown>) => () => another(t, q, options)
  throwsCode(t, open({ maxsize: 11 }), 'ERR_MILLRACE_OPTIONS_MISMATCH', '10', '11', 'jobs')
  throwsCode(t, open({ codec: 'v8' }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'json', 'v8')
  throwsCode(t, open({ maxBytes: '1GiB' }), 'ERR_MILLRACE_OPTIONS_MISMATCH')
  for (const maxsize of [0, -1, 1.5, 2 ** 21])
    throwsCode(t, open({ maxsize }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'maxsize')
  t.is(another(t, q).getStats().codec, 'json')
  using shm = ShmManager.open(`sage.${q.namespace}`)
  shm.portQueue('other', { capacity: 2 })
  throwsCode(t, () => new SageQueue('other', { namespace: q.namespace }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'SageQueue')
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

test('values larger than a buffer class, and larger than can ever fit', async (t) => {
  const q = openSage<Uint8Array>(t, { maxBytes: '64MiB' })
  for (const size of [0, 300, 70_000, 5_000_000]) {
    await q.put(new Uint8Array(size).fill(size))
    const got = await q.get()
    t.true(got.length === size && got.every((byte) => byte === (size & 255)))
  }
  await rejectsCode(t, q.put(new Uint8Array(70_000_000)), 'ERR_MILLRACE_TOO_LARGE', 'jobs')
})

test('when memory is used up, put waits and putNowait says so', async (t) => {
  const q = openSage<Uint8Array>(t, { maxBytes: '8MiB', acknowledge: 'get' })
  let count = 0
  const big = () => new Uint8Array(1_000_000).fill(count)
  for (;;) {
    try {
      q.putNowait(big())
      count++
    } catch (error) {
      throwsCode(t, () => { throw error }, 'ERR_MILLRACE_FULL', 'memory') // prettier-ignore
      break
    }
  }
  t.true(count > 0 && count < 8)
  const put = q.put(big())
  t.true(await isPending(put))
  for (let i = 0; i <= count; i++) t.is((await q.get())[0], i)
  await put
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
  // Makes a bell, which is not a queue to be listed.
  await rejectsCode(t, q.put(2, { timeout: 0.01 }), 'ERR_MILLRACE_FULL')
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
