// What becomes of values that cannot be got.
import test from 'ava'
import { type Codec, SageQueue, type SageQueueOptions } from '../../index.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { another, openSage } from '../helpers/sage.js'

/** Cannot read a text of three letters. */
const fragile: Codec<string> = {
  name: 'fragile',
  encode: (text) => text,
  decode: (bytes) => {
    if (bytes.length === 3) throw new RangeError('three')
    return Buffer.from(bytes).toString()
  },
}
/** Reads what it cannot. */
const sturdy: Codec<string> = { ...fragile, decode: (bytes) => Buffer.from(bytes).toString() }

const TWICE: SageQueueOptions<string> = { maxDeliveries: 2 }
for (const [who, own, others] of [
  ['the getting end', TWICE, {}],
  ['somebody else, later', {}, TWICE],
] as const)
  test(`what was delivered too often goes to the dead letters, if ${who} has said how often`, async (t) => {
    const q = openSage<string>(t, own)
    another(t, q, others)
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
    t.like(dead.getStats(), { size: 0, inWork: 1, maxsize: 1024 })
  })

test('what cannot be decoded goes to the dead letters at once, and the next get goes on', async (t) => {
  const q = openSage(t, { codec: fragile })
  const other = another(t, q, { codec: fragile })
  for (const text of ['abc', 'defg', 'hij', 'klmn']) await q.put(text)
  throwsCode(t, () => q.peek(), 'ERR_MILLRACE_DECODE', 'jobs', 'stays')
  const joined = q.join()
  const error = await rejectsCode(t, q.get(), 'ERR_MILLRACE_DECODE', '"jobs"', '"fragile"', '"jobs.dead"', 'three')
  t.true(error.cause instanceof RangeError)
  t.is(await q.get(), 'defg')
  throwsCode(t, () => other.getNowait(), 'ERR_MILLRACE_DECODE', '"jobs.dead"')
  t.is(await other.get(), 'klmn')
  other.taskDone()
  q.taskDone()
  await joined
  t.like(q.getStats(), { size: 0, inWork: 0, redelivered: 0 })
  // A program that can read them gets them from there.
  using dead = new SageQueue('jobs.dead', { namespace: q.namespace, codec: sturdy })
  t.deepEqual([dead.getNowait(), dead.getNowait()], ['abc', 'hij'])
  throwsCode(t, () => dead.getNowait(), 'ERR_MILLRACE_EMPTY')
})

test('what the dead letters do not take is kept until its end closes, and blocks nobody', async (t) => {
  const q = openSage(t, { codec: fragile })
  using dead = new SageQueue<string>('jobs.dead', { namespace: q.namespace, codec: fragile })
  while (!dead.full()) dead.putNowait('of other causes')
  const reader = another(t, q, { codec: fragile })
  for (const text of ['abc', 'defg']) q.putNowait(text)
  await rejectsCode(t, reader.get(), 'ERR_MILLRACE_DECODE', 'until this end is closed')
  t.is(await reader.get(), 'defg')
  t.like(q.getStats(), { size: 0, inWork: 2 })
  reader.taskDone()
  // Not of the one that is kept.
  throwsCode(t, () => reader.taskDone(), 'ERR_MILLRACE_NOT_HELD')
  t.like(q.getStats(), { size: 0, inWork: 1 })
  reader.close()
  t.like(q.getStats(), { size: 1, inWork: 0 })
})

test('dead letters have no dead letters', async (t) => {
  const q = openSage(t, { codec: fragile })
  q.putNowait('abc')
  await rejectsCode(t, q.get(), 'ERR_MILLRACE_DECODE')
  using dead = new SageQueue('jobs.dead', { namespace: q.namespace, codec: fragile })
  await rejectsCode(t, dead.get(), 'ERR_MILLRACE_DECODE', 'until this end is closed')
  t.is(dead.getStats().inWork, 1)
})
