import test from 'ava'
import { SageQueue } from '../../index.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { another, isPending, openSage, testNamespace } from '../helpers/sage.js'

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
    await rejectsCode(t, q.put(-1, { timeout: 10 }), 'ERR_MILLRACE_FULL', '10 ms')
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
  await rejectsCode(t, q.get({ timeout: 0 }), 'ERR_MILLRACE_EMPTY', '0 ms')
  await rejectsCode(t, q.get({ timeout: 20 }), 'ERR_MILLRACE_EMPTY', '20 ms')
  const aborter = new AbortController()
  const got = q.get({ signal: aborter.signal })
  aborter.abort(new RangeError('enough'))
  await t.throwsAsync(got, { instanceOf: RangeError })
  for (const timeout of [-1, NaN, '5', 2 ** 31]) {
    await rejectsCode(t, q.get({ timeout: timeout as number }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'timeout')
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
    q.put(4, { timeout: 10 }),
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

/** How long 200 rounds take, in ns. */
async function round(q: SageQueue<number>): Promise<number> {
  const start = process.hrtime.bigint()
  for (let i = 0; i < 200; i++) {
    await q.put(i)
    q.qsize()
    q.getNowait()
  }
  return Number(process.hrtime.bigint() - start)
}

async function best(q: SageQueue<number>): Promise<number> {
  let least = Infinity
  for (let i = 0; i < 15; i++) least = Math.min(least, await round(q))
  return least
}

test.serial('what a call costs does not grow with maxsize', async (t) => {
  const namespace = testNamespace(t)
  const [small, large] = [100, 500_000].map((maxsize) => {
    const q = new SageQueue<number>(`of-${maxsize}`, { namespace, maxsize, acknowledge: 'get' })
    t.teardown(() => q.close())
    return q
  })
  const [cheap, costly] = [await best(small!), await best(large!)]
  // To count slots would be five thousand times as much.
  t.true(costly < 5 * cheap, `${cheap} → ${costly} ns`)
})
