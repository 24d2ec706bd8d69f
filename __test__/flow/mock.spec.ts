// Blocks alone: what goes in, what comes out, and what a failed expectation says.
import { AssertionError } from 'node:assert'
import test from 'ava'
import {
  buffers,
  bytes,
  filter,
  flow,
  Gain,
  map,
  mock,
  objects,
  Split,
  sink,
  source,
  ticks,
  timer,
} from '../../flow.js'
import { buffersInUse, openDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { count, nothingLeft, number } from '../helpers/flow.js'

const double = () => map('double', number, number, (value) => value * 2)
const samples = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer)
const broken = () => sink('broken', number, () => Promise.reject(new Error('broken')))
const tick = (index: number) => ({ index, time: (index + 1) * 3_600_000, missed: 0 })
const hourly = () => timer('hourly', { interval: 3_600_000 })

test('what is pushed is worked on, and what comes out is expected', async (t) => {
  const shm = openDomain(t)
  const block = double()
  const { stats } = await mock(block, shm).push(block.in, 1, 2).push('in', 3).run().expect(block.out, 2, 4, 6)
  t.like(stats, { name: 'double', state: 'stopped', itemsIn: 3, itemsOut: 3 })
  const item = objects<{ id: number }>()
  const odd = filter('odd', item, ({ id }) => id % 2 === 1)
  const some = [...count(1000)].map((id) => ({ id }))
  const result = await mock(odd, shm)
    .push('in', ...some)
    .run()
  t.true(result.output('out').every((value, at) => value === some[2 * at + 1]))
  await mock(double(), shm).run().expect('out')
  nothingLeft(t, shm)
})

test('native blocks, and buffers', async (t) => {
  const shm = openDomain(t)
  const louder = await mock(new Gain({ factor: 2 }), shm, { seed: 7 })
    .push('in', samples(1, 2), samples(3))
    .run()
  louder.expect('out', samples(2, 4), samples(6))
  t.is(louder.seed, 7)
  const split = new Split({ outputs: 3 })
  const parts = await mock(split, shm)
    .push(split.in, ...[...count(6)].map((value) => Uint8Array.of(value)))
    .run()
  parts
    .expect(split.out[0]!, Uint8Array.of(0), Uint8Array.of(3))
    .expect(split.out[2]!, Uint8Array.of(2), Uint8Array.of(5))
  const moved = await mock(
    map('move', buffers, buffers, (value) => value),
    shm,
  )
    .push('in', Uint8Array.of(1))
    .run()
  moved.expect('out', Buffer.from([1]))
  t.is(buffersInUse(shm), 0)
})

test('a failed expectation names port, place, both values and the seed', async (t) => {
  const result = await mock(double(), openDomain(t), { seed: 5 }).push('in', 1, 2).run()
  const messages = [[2, 5], [2], [2, 4, 6]].map((values) => {
    const error = t.throws(() => result.expect('out', ...values), { any: true })
    return error instanceof AssertionError && error.message
  })
  t.deepEqual(messages, [
    'double.out, value 1: wanted 5, got 4 (seed 5)',
    'double.out, value 1: wanted nothing, got 4 (seed 5)',
    'double.out, value 2: wanted 6, got nothing (seed 5)',
  ])
  const chain = mock(double(), openDomain(t), { seed: 5 }).push('in', 1).run().expect('out', 2).expect('out', 3)
  const error = await t.throwsAsync(async () => await chain, { any: true })
  t.true(error instanceof AssertionError && error.message === 'double.out, value 0: wanted 3, got 2 (seed 5)')
})

test('failures, and what is not there', async (t) => {
  const shm = openDomain(t)
  const code = 'ERR_MILLRACE_INVALID_ARGUMENT'
  await rejectsCode(t, mock(broken(), shm).push('in', 1).run(), 'ERR_MILLRACE_BLOCK_FAILED', '"broken"')
  const { stats } = await mock(broken(), shm, { onError: { action: 'skip', retries: 2, backoff: 60_000 } })
    .push('in', 1)
    .run()
  t.like(stats, { skipped: 1, retried: 2 })
  throwsCode(t, () => mock(double(), shm).push('out', 1), code, '"double"', 'no input "out"', '"in"')
  const result = await mock(double(), shm).run()
  throwsCode(t, () => result.output('in'), code, '"double"', 'no output "in"', '"out"')
  const endless = source('endless', { out: bytes }, () => new Promise(() => {}) as never)
  await rejectsCode(t, mock(endless, shm).run(), 'ERR_MILLRACE_BLOCK_FAILED', '"endless"', 'iterable')
  const waits = source('waits', { out: number }, async function* () {
    yield await new Promise<number>(() => {})
  })
  await rejectsCode(t, mock(waits, shm).run({ timeout: 50 }), 'ERR_MILLRACE_TIMEOUT', '"waits"', '50 ms', '"time"')
  nothingLeft(t, shm)
})

test('a timer: ticks at multiples of its interval, in a time of its own', async (t) => {
  const shm = openDomain(t)
  await mock(hourly(), shm)
    .run({ time: 3 * 3_600_000 })
    .expect('out', tick(0), tick(1), tick(2))
  await mock(timer('twice', { interval: 3_600_000, count: 2 }), shm)
    .run()
    .expect('out', tick(0), tick(1))
  for (const [interval, amount] of [
    [0, 1],
    [Number.NaN, 1],
    [1, 0],
    [2 ** 31, 1],
  ] as const) {
    throwsCode(t, () => timer('bad', { interval, count: amount }), 'ERR_MILLRACE_INVALID_ARGUMENT', '"bad"')
  }
})

test('ticks that nobody has room for are missed, and counted', async (t) => {
  const shm = openDomain(t)
  const f = flow('late', shm)
  const every = f.add(timer('every', { interval: 1, count: 20 }))
  const seen: { index: number; missed: number }[] = []
  const slow = f.add(
    sink('slow', ticks, async (batch) => {
      seen.push(...batch)
      const busy = performance.now() + 10
      while (performance.now() < busy) await Promise.resolve()
    }),
  )
  f.link(every.out, slow.in, { capacity: 1 })
  await using run = await f.start()
  await run.done
  t.is(seen.length, 20)
  const missed = seen.reduce((sum, one) => sum + one.missed, 0)
  t.true(missed > 0)
  t.is(every.stats().counters['missed'], missed)
  t.is(seen.at(-1)!.index, 19 + missed)
})
