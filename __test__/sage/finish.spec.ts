// What is finished, and what is in work.
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { another, isPending, openSage } from '../helpers/sage.js'

test('join waits for every taskDone, as queue.Queue does', async (t) => {
  const q = openSage(t)
  await q.join()
  for (let i = 0; i < 3; i++) await q.put(i)
  const joined = [q.join(), another(t, q).join(), q.join({ timeout: 50_000 })]
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
    q.put(1).then(() => q.join({ timeout: 10 })),
    'ERR_MILLRACE_TIMEOUT',
    '10 ms',
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
  throwsCode(t, () => q.taskDone(b), 'ERR_MILLRACE_NOT_HELD', 'was not got from queue "jobs"', '(2 in work)')
  throwsCode(t, () => q.taskDone('b'), 'ERR_MILLRACE_NOT_HELD')
  q.giveBack(c)
  t.deepEqual(q.getNowait(), { id: 3 })
  t.is(q.getStats().redelivered, 1)
  q.giveBack()
  t.deepEqual(q.getNowait(), a)
  t.is(q.getStats().inWorkHere, 2)
})

test('what is not finished goes back when its end closes', async (t) => {
  const q = openSage<number>(t)
  for (let i = 0; i < 5; i++) await q.put(i)
  const worker = another(t, q)
  for (let i = 0; i < 4; i++) t.is(worker.getNowait(), i)
  worker.taskDone(2)
  worker.close()
  t.is(q.qsize(), 4)
  for (const value of [0, 1, 3, 4]) t.is(q.getNowait(), value)
})

test('values in work count, however large and however many', async (t) => {
  const q = openSage<{ i: number; image: Uint8Array }>(t)
  for (let i = 0; i < 100; i++) q.putNowait({ i, image: new Uint8Array(i < 2 ? 600_000 : 10) })
  const jobs = Array.from({ length: 100 }, () => q.getNowait())
  t.like(q.getStats(), { size: 0, inWork: 100, inWorkHere: 100 })
  const joined = q.join()
  // Newest first: none was finished for us in the meantime.
  for (const job of jobs.toReversed()) q.taskDone(job)
  await joined
  t.like(q.getStats(), { size: 0, inWork: 0, inWorkHere: 0, redelivered: 0 })
  throwsCode(t, () => q.taskDone(), 'ERR_MILLRACE_NOT_HELD')
})

test('equal values are finished one by one, the oldest first', async (t) => {
  const q = openSage<string>(t)
  for (const value of ['a', 'b', 'a']) q.putNowait(value)
  for (let i = 0; i < 3; i++) await q.get()
  q.taskDone('a')
  q.taskDone('b')
  t.is(q.getStats().inWorkHere, 1)
  q.giveBack('a')
  throwsCode(t, () => q.taskDone('a'), 'ERR_MILLRACE_NOT_HELD', 'no value of queue "jobs"')
  t.is(q.getNowait(), 'a')
})

test('more values in work than there is room for: an error that says what to do, and no silent wait', async (t) => {
  const q = openSage<number>(t, { maxsize: 2000 })
  const other = another(t, q)
  for (let i = 0; i < 2000; i++) q.putNowait(i)
  // A ring has a power of two of places.
  const places = 2048
  other.getNowait()
  for (let i = 1; i < 2000; i++) q.getNowait()
  for (let i = 2000; i < places + 1; i++) {
    q.putNowait(i)
    if (i < places) q.getNowait()
  }
  // All places are taken, but not by this end alone: somebody may make room.
  const waits = q.get()
  await rejectsCode(t, other.get({ timeout: 10 }), 'ERR_MILLRACE_EMPTY', '1 values', '2048')
  throwsCode(t, () => other.getNowait(), 'ERR_MILLRACE_EMPTY', '2048')
  other.taskDone()
  t.is(await waits, places)
  q.putNowait(-1)
  for (const get of [() => q.get(), () => q.get({ timeout: 5000 })]) {
    await rejectsCode(t, get(), 'ERR_MILLRACE_LIMIT', '2048 values', 'jobs', 'taskDone()', "acknowledge: 'get'")
  }
  throwsCode(t, () => q.getNowait(), 'ERR_MILLRACE_LIMIT')
  q.taskDone()
  t.is(await q.get(), -1)
})

test("acknowledge: 'get' finishes a value at once, so any number can be got", async (t) => {
  const q = openSage<number>(t, { acknowledge: 'get', maxsize: 3000 })
  for (let i = 0; i < 3000; i++) q.putNowait(i)
  for (let i = 0; i < 3000; i++) t.is(i % 2 === 0 ? await q.get() : q.getNowait(), i)
  t.like(q.getStats(), { size: 0, inWork: 0, inWorkHere: 0, put: 3000, got: 3000 })
  await q.join()
  throwsCode(t, () => q.taskDone(), 'ERR_MILLRACE_NOT_HELD')
})
