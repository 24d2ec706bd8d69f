// What becomes of messages and flows when blocks of JavaScript fail, and what bad input says.
import test from 'ava'
import {
  bytes,
  flow,
  JsBlock,
  map,
  mock,
  NullSink,
  FileSource,
  NullSource,
  sink,
  source,
  type,
  type BlockIo,
  type StandardSchema,
} from '../../flow.js'
import type { ShmManager } from '../../index.js'
import { buffersInUse, openDomain } from '../helpers/domain.js'
import { count, number } from '../helpers/flow.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

/** A flow of 100 numbers, whose stage `fn` fails with some of them. */
function failing(shm: ShmManager, fn: (value: number) => number | Promise<number>) {
  const f = flow('failing', shm)
  const got: number[] = []
  const from = f.add(source('from', { out: number }, () => count(100)))
  const stage = f.add(map('stage', number, number, fn))
  const end = f.add(sink('end', number, (batch) => void got.push(...batch)))
  f.link(from.out, stage.in, { delivery: 'at-least-once' }).link(stage.out, end.in)
  return { f, stage, got }
}

function unlucky(value: number): number {
  if (value === 13) throw new Error('unlucky')
  return value
}

async function unluckyLater(value: number): Promise<number> {
  return await Promise.resolve(unlucky(value))
}

test('a throw fails the run, with the name of the block; what came before it arrives', async (t) => {
  const shm = openDomain(t)
  for (const fn of [unlucky, unluckyLater]) {
    const { f, stage, got } = failing(shm, fn)
    const run = await f.start()
    const error = await rejectsCode(t, run.done, 'ERR_MILLRACE_BLOCK_FAILED', 'block "stage"', 'unlucky')
    t.is((error.cause as Error).message, 'unlucky')
    t.like(stage.stats(), { state: 'failed', itemsOut: 13 })
    t.deepEqual(got, [...count(13)])
    await rejectsCode(t, run.drain(), 'ERR_MILLRACE_BLOCK_FAILED')
    t.deepEqual(Object.keys(shm.stats().queues), [])
    t.is(buffersInUse(shm), 0)
  }
})

test('skipped: the rest goes on', async (t) => {
  const shm = openDomain(t)
  const { stats } = await mock(map('stage', number, number, unlucky), shm, { onError: 'skip' })
    .push('in', ...count(100))
    .run()
    .expect('out', ...[...count(100)].filter((value) => value !== 13))
  t.like(stats, { skipped: 1, itemsIn: 100, itemsOut: 99 })
  t.is(buffersInUse(shm), 0)
})

test('tried again, in its place', async (t) => {
  let left = 3
  const fn = (value: number) => (value === 13 && left-- > 0 ? unlucky(value) : value)
  const options = { onError: { retries: 3, backoff: 60_000 } }
  const { stats } = await mock(map('stage', number, number, fn), openDomain(t), options)
    .push('in', ...count(100))
    .run()
    .expect('out', ...count(100))
  t.like(stats, { retried: 3, skipped: 0 })
})

test('dead letters: the message itself', async (t) => {
  const shm = openDomain(t)
  const dead = shm.portQueue<number>('dead', { codec: 'json' })
  const options = { onError: { retries: 1, deadLetters: dead } }
  const { stats } = await mock(map('stage', number, number, unlucky), shm, options)
    .push('in', ...count(100))
    .run()
    .expect('out', ...[...count(100)].filter((value) => value !== 13))
  t.like(stats, { retried: 1, deadLettered: 1 })
  t.deepEqual(dead.getMany(10), [13])
  t.is(buffersInUse(shm), 0)
})

test('a sink that fails with one of a batch', async (t) => {
  const got: number[] = []
  const use = (batch: number[]) => void got.push(...batch.map(unlucky))
  const { stats } = await mock(sink('end', number, use), openDomain(t), { onError: 'skip' })
    .push('in', ...count(100))
    .run()
  t.is(got.length, 99)
  t.like(stats, { skipped: 1, itemsIn: 100 })
})

test('what a queue of others delivers again: what the block had not done with when it failed', async (t) => {
  const shm = openDomain(t)
  const input = shm.portQueue<number>('input', { codec: 'json', delivery: 'at-least-once' })
  const f = flow('outer', shm)
  const stage = f.add(map('stage', number, number, unlucky))
  const got: number[] = []
  const end = f.add(sink('end', number, (batch) => void got.push(...batch)))
  stage.in.connect(input)
  f.link(stage.out, end.in)
  await input.putMany([...count(20)])
  const run = await f.start()
  await rejectsCode(t, run.done, 'ERR_MILLRACE_BLOCK_FAILED', 'unlucky')
  t.deepEqual(got, [...count(13)])
  t.deepEqual(input.getMany(100), [13, 14, 15, 16, 17, 18, 19])
  t.is(buffersInUse(shm), 0)
})

test('native blocks end when one of JavaScript fails, and those of JavaScript when a native one does', async (t) => {
  const shm = openDomain(t)
  const f = flow('native', shm, { threads: 1 })
  const broken = f.add(sink('broken', bytes, () => Promise.reject(new Error('broken'))))
  f.link(f.add(new NullSource({ size: 8 })).out, broken.in)
  f.link(f.add(new NullSource({ size: 8 })).out, f.add(new NullSink()).in)
  await rejectsCode(t, (await f.start()).done, 'ERR_MILLRACE_BLOCK_FAILED', '"broken"')

  const g = flow('missing', shm, { threads: 1 })
  const missing = g.add(new FileSource({ path: '/nowhere/at/all', size: 8 }), { name: 'missing' })
  g.link(missing.out, g.add(new NullSink()).in)
  const endless = g.add(
    source('endless', { out: bytes }, function* () {
      for (;;) yield new Uint8Array(1)
    }),
  )
  g.link(endless.out, g.add(new NullSink()).in)
  g.link(endless.out, g.add(sink('end', bytes, () => {})).in)
  await rejectsCode(t, (await g.start()).done, 'ERR_MILLRACE_IO', '"missing"', '/nowhere/at/all')
  t.is(buffersInUse(shm), 0)
})

test('many at once: no more than that, in order or not', async (t) => {
  const shm = openDomain(t)
  for (const ordered of [true, false]) {
    const f = flow('many', shm)
    let [now, most] = [0, 0]
    const got: number[] = []
    const from = f.add(source('from', { out: number }, () => count(200)))
    const turns = async (value: number) => {
      most = Math.max(most, ++now)
      for (let i = 0; i < 5 - (value % 5); i++) await new Promise((resolve) => setImmediate(resolve))
      now--
      return value
    }
    const stage = f.add(map('stage', number, number, turns, { concurrency: 8, ordered }))
    const end = f.add(sink('end', number, (batch) => void got.push(...batch)))
    f.link(from.out, stage.in).link(stage.out, end.in)
    await using run = await f.start()
    await run.done
    t.is(most, 8)
    t.is(got.length, 200)
    if (!ordered) t.notDeepEqual(got, [...count(200)])
    t.deepEqual(
      got.toSorted((a, b) => a - b),
      [...count(200)],
    )
    if (ordered) t.deepEqual(got, [...count(200)])
    t.like(stage.stats(), { itemsIn: 200, itemsOut: 200 })
    t.is(buffersInUse(shm), 0)
  }
})

test('many at once, one of which fails', async (t) => {
  const shm = openDomain(t)
  const f = flow('many', shm)
  const got: number[] = []
  const from = f.add(source('from', { out: number }, () => count(200)))
  const stage = f.add(map('stage', number, number, unluckyLater, { concurrency: 8 }))
  const end = f.add(sink('end', number, (batch) => void got.push(...batch)))
  f.link(from.out, stage.in).link(stage.out, end.in)
  await rejectsCode(t, (await f.start()).done, 'ERR_MILLRACE_BLOCK_FAILED', 'unlucky')
  t.deepEqual(got, [...count(13)])
  t.is(buffersInUse(shm), 0)
})

const positive: StandardSchema<number> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof value === 'number' && value >= 0
        ? { value }
        : { issues: [{ message: 'must be positive', path: ['at', 0] }] },
  },
}

test('a validator looks at what a block sends', async (t) => {
  const shm = openDomain(t)
  const f = flow('checked', shm)
  const checked = type('json', { name: 'positive', schema: positive })
  const from = f.add(source('from', { out: checked }, () => [1, 2, -3]))
  f.link(from.out, f.add(sink('end', checked, () => {})).in)
  const words = ['from.out', '"positive"', 'at.0: must be positive']
  await rejectsCode(t, (await f.start()).done, 'ERR_MILLRACE_BLOCK_FAILED', ...words)
  t.is(buffersInUse(shm), 0)
})

/** Sums up what comes. */
class Sum extends JsBlock {
  readonly in = this.takes('in', number)
  readonly out = this.sends('out', number)

  async work(io: BlockIo): Promise<void> {
    let sum = 0
    for await (const batch of io.take(this.in))
      await io.send(
        this.out,
        batch.values().map((value) => (sum += value)),
      )
    await io.send(this.out, [-1])
  }
}

test('a block of its own class', async (t) => {
  const shm = openDomain(t)
  const f = flow('own', shm)
  const got: number[] = []
  const from = f.add(source('from', { out: number }, () => count(5)))
  const sum = f.add(new Sum())
  const end = f.add(sink('end', number, (batch) => void got.push(...batch)))
  f.link(from.out, sum.in).link(sum.out, end.in)
  t.is(sum.name, 'Sum1')
  await using run = await f.start()
  await run.done
  t.deepEqual(got, [0, 1, 3, 6, 10, -1])
})

test('bad input names block and port', async (t) => {
  const shm = openDomain(t)
  const f = flow('bad', shm)
  const text = type<number>('json', { name: 'text' })
  const from = f.add(source('from', { out: number }, () => count(5)))
  const end = f.add(sink('end', text, () => {}))
  throwsCode(
    t,
    () => f.link(from.out, end.in),
    'ERR_MILLRACE_INVALID_ARGUMENT',
    'from.out',
    'end.in',
    '"number"',
    '"text"',
  )
  throwsCode(t, () => f.add(sink('end', text, () => {})), 'ERR_MILLRACE_INVALID_ARGUMENT', '"end"')
  throwsCode(t, () => f.add({} as Sum), 'ERR_MILLRACE_INVALID_ARGUMENT', 'a block')
  throwsCode(t, () => f.link(from.out, new Sum().in), 'ERR_MILLRACE_INVALID_ARGUMENT', 'Sum', 'has not been added')
  throwsCode(t, () => flow('no name', shm), 'ERR_MILLRACE_INVALID_NAME')
  throwsCode(t, () => map('m', number, number, 1 as never), 'ERR_MILLRACE_INVALID_ARGUMENT', '"m"')
  throwsCode(t, () => type('json', { schema: {} as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'Standard Schema')
  await rejectsCode(t, f.start(), 'ERR_MILLRACE_INVALID_ARGUMENT', 'output "out"', '"from"', 'nothing')
  await rejectsCode(t, flow('empty', shm).start(), 'ERR_MILLRACE_INVALID_ARGUMENT', '"empty"', 'no blocks')

  const g = flow('bad', shm)
  const other = g.add(sink('end', number, () => {}))
  other.in.connect(shm.portQueue<number>('queue', { codec: 'json', typeId: 7 }))
  await rejectsCode(t, g.start(), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'end.in', '"queue"', '7')
  t.is(buffersInUse(shm), 0)
})
