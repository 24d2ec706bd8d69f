import test from 'ava'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { isPending, openSage } from '../helpers/sage.js'

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

/** Larger than what goes over the stage. */
function job(state: string): { state: string; pad: string } {
  return { state, pad: 'x'.repeat(5000) }
}

test('what put() was given is what arrives, however it has to wait', async (t) => {
  const q = openSage<{ state: string; pad: string }>(t, { maxsize: 1, codec: 'msgpack', acknowledge: 'get' })
  q.putNowait(job('first'))
  const waiting = job('as it was put')
  const puts = [q.put(waiting), q.put(waiting)]
  waiting.state = 'as it was changed later'
  t.true(await isPending(puts[0]!))
  const states = []
  for (let i = 0; i < 3; i++) states.push((await q.get()).state)
  await Promise.all(puts)
  t.deepEqual(states, ['first', 'as it was put', 'as it was put'])
})

test('memory that is used up is waited for, and what waits needs none', async (t) => {
  const q = openSage<Uint8Array>(t, { maxsize: 10_000, maxBytes: '8MiB' })
  const value = new Uint8Array(30_000)
  let count = 0
  await rejectsCode(
    t,
    (async () => {
      for (; ; count++) await q.put(value, { timeout: 200 })
    })(),
    'ERR_MILLRACE_FULL',
    'memory',
    '200 ms',
  )
  await rejectsCode(t, q.join({ timeout: 50 }), 'ERR_MILLRACE_TIMEOUT', '50 ms')
  const [put, joined] = [q.put(value), q.join()]
  q.taskDone(await q.get())
  await put
  for (let i = 1; i < count; i++) q.taskDone(await q.get())
  const last = await q.get()
  t.true(await isPending(joined))
  q.taskDone(last)
  await joined
})
