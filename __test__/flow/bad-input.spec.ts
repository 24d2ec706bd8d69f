// What is wrong with a flow is said with the names of its blocks and ports, before anything runs.
import { createRequire } from 'node:module'
import test from 'ava'
import {
  bytes,
  flow,
  Gain,
  NullSink,
  NullSource,
  Scheduler,
  source as sourceOf,
  Split,
  VerifySink,
} from '../../flow.js'
import type * as millraceFlow from '../../flow.js'
import type { BlockOptions, LinkOptions, SchedulerOptions } from '../../flow.js'
import { openDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

const INVALID = 'ERR_MILLRACE_INVALID_ARGUMENT'

const BAD_SCHEDULER_OPTIONS: [keyof SchedulerOptions, unknown[]][] = [
  ['threads', [0, 257, 1.5, NaN, '2', null]],
  ['policy', ['', 'fair', 0, null]],
  ['seed', [-1, 0.5, 2 ** 53, '1', null]],
  ['slice', [-1, NaN, Infinity, '1', null]],
  ['stallTimeout', [-1, 0, 0.5, NaN, 2 ** 31, '1', null]],
]

for (const [option, values] of BAD_SCHEDULER_OPTIONS) {
  test(`scheduler option ${option}`, (t) => {
    const shm = openDomain(t)
    for (const value of values) throwsCode(t, () => new Scheduler(shm, { [option]: value }), INVALID, option)
  })
}

const BAD_BLOCK_OPTIONS: [keyof BlockOptions, unknown[]][] = [
  ['name', ['', 7, 'a\0b', null]],
  ['priority', ['', 'urgent', 1, null]],
  ['thread', [-1, 256, 0.5, '0', null]],
  ['onError', ['', 'retry', 7, null, { retries: -1 }, { backoff: NaN }, { backoff: Infinity }, { action: 'never' }]],
  ['onError', [{ deadLetters: null }, { deadLetters: 'queue' }, { deadLetters: { name: 7 } }]],
]

for (const [option, values] of BAD_BLOCK_OPTIONS) {
  test(`block option ${option}: ${values.length} values`, (t) => {
    const scheduler = new Scheduler(openDomain(t))
    for (const value of values)
      throwsCode(t, () => scheduler.add(new NullSink(), { [option]: value }), INVALID, 'block')
    t.deepEqual(scheduler.stats().blocks, [])
  })
}

const BAD_LINK_OPTIONS: [keyof LinkOptions, unknown[]][] = [
  ['capacity', [0, 2 ** 20 + 1, 1.5, '1', null]],
  ['overflow', ['', 'spill', 0, null]],
  ['delivery', ['', 'exactly-once', 0, null]],
]

for (const [option, values] of BAD_LINK_OPTIONS) {
  test(`link option ${option}`, (t) => {
    const scheduler = new Scheduler(openDomain(t))
    const [source, sink] = [scheduler.add(new NullSource({ size: 10 })), scheduler.add(new NullSink())]
    for (const value of values) {
      const link = () => scheduler.link(source.out, sink.in, { [option]: value })
      throwsCode(t, link, INVALID, option, 'NullSource1.out', 'NullSink1.in')
    }
  })
}

test('settings of blocks: each says its name, its block, and what it may be', (t) => {
  for (const size of [-1, 0.5, 2 ** 31, 'much', null]) {
    throwsCode(t, () => new NullSource({ size: size as never }), INVALID, 'size of NullSource')
  }
  for (const count of [0, -1, 0.5, NaN, 2 ** 53, '1', true, null, {}]) {
    throwsCode(t, () => new NullSource({ size: 1, count: count as never }), INVALID, 'count of NullSource')
    throwsCode(t, () => new NullSink({ count: count as never }), INVALID, 'count of NullSink')
  }
  for (const options of [7, null, 'size']) throwsCode(t, () => new NullSource(options as never), INVALID, 'NullSource')
  throwsCode(t, () => new NullSource({} as never), INVALID, 'size of NullSource is missing')
  throwsCode(t, () => new NullSource({ size: 1, sise: 1 } as never), INVALID, 'NullSource has no setting "sise"')
  throwsCode(t, () => new Gain({ factor: 1, format: 'u8' as never }), INVALID, 'format of Gain', 'f32, f64, i16')
  throwsCode(t, () => new VerifySink({ strict: 1 as never }), INVALID, 'strict of VerifySink', 'true or false')
  throwsCode(t, () => new Split({ outputs: 65 }), INVALID, 'outputs of Split is 65')
})

test('what is no manager, block, port or queue', (t) => {
  const scheduler = new Scheduler(openDomain(t))
  const [source, sink] = [scheduler.add(new NullSource({ size: 10 })), scheduler.add(new NullSink())]
  for (const value of [undefined, null, 7, 'name', {}]) {
    throwsCode(t, () => new Scheduler(value as never), INVALID, 'ShmManager')
    throwsCode(t, () => scheduler.add(value as never), INVALID, 'block')
    throwsCode(t, () => scheduler.link(value as never, sink.in), INVALID, 'output')
    throwsCode(t, () => scheduler.link(source.out, value as never), INVALID, 'input')
    throwsCode(t, () => sink.in.connect(value as never), INVALID, 'NullSink1.in')
  }
  // @ts-expect-error from an input to an output
  throwsCode(t, () => scheduler.link(sink.in, source.out), INVALID, 'output')
})

test('names: each block has one, and no two have the same', (t) => {
  const scheduler = new Scheduler(openDomain(t))
  scheduler.add(new NullSink(), { name: 'NullSink2' })
  t.is(scheduler.add(new NullSink()).name, 'NullSink1')
  t.is(scheduler.add(new NullSink()).name, 'NullSink3')
  t.is(scheduler.add(new NullSource({ size: 10 })).name, 'NullSource1')
  throwsCode(t, () => scheduler.add(new NullSink(), { name: 'NullSink1' }), INVALID, 'NullSink1')
})

test('a block in two schedulers, or twice in one', (t) => {
  const shm = openDomain(t)
  const scheduler = new Scheduler(shm)
  const sink = scheduler.add(new NullSink())
  throwsCode(t, () => scheduler.add(sink), INVALID, 'NullSink1')
  throwsCode(t, () => new Scheduler(shm).add(sink, { name: 'other' }), INVALID, 'NullSink1')
  t.is(sink.name, 'NullSink1')
})

test('links of blocks that were not added', (t) => {
  const shm = openDomain(t)
  const scheduler = new Scheduler(shm)
  const sink = scheduler.add(new NullSink())
  throwsCode(
    t,
    () => scheduler.link(new NullSource({ size: 10 }).out, sink.in),
    INVALID,
    'NullSource.out',
    'not been added',
  )
  const elsewhere = new Scheduler(shm).add(new NullSource({ size: 10 }), { name: 'elsewhere' })
  throwsCode(t, () => scheduler.link(elsewhere.out, sink.in), INVALID, 'elsewhere.out', 'not been added')
})

test('the same link twice', (t) => {
  const scheduler = new Scheduler(openDomain(t))
  const [source, sink] = [scheduler.add(new NullSource({ size: 10 })), scheduler.add(new NullSink())]
  scheduler.link(source.out, sink.in)
  throwsCode(t, () => scheduler.link(source.out, sink.in), INVALID, 'NullSource1.out', 'NullSink1.in', 'already')
})

test('ports that are linked to nothing', async (t) => {
  const shm = openDomain(t)
  const empty = new Scheduler(shm)
  await rejectsCode(t, empty.run(), INVALID, 'without blocks')
  const scheduler = new Scheduler(shm)
  const source = scheduler.add(new NullSource({ size: 10, count: 1 }), { name: 'tap' })
  await rejectsCode(t, scheduler.run(), INVALID, '"out"', '"tap"', 'nothing')
  const sink = scheduler.add(new NullSink(), { name: 'drain' })
  source.out.connect(shm.portQueue('queue', {}))
  await rejectsCode(t, scheduler.run(), INVALID, '"in"', '"drain"', 'nothing')
  // Nothing has run: what was missing can be put right.
  sink.in.connect(shm.portQueue('other', {}))
  shm.portQueue('other').close()
  await scheduler.run()
  t.is(shm.registry.snapshot().participants.length, 1)
})

test('an input at two queues, an output at one twice, an input at a link and a queue', async (t) => {
  const shm = openDomain(t)
  const queues = ['one', 'two'].map((name) => shm.portQueue(name, {}))
  const twice = new Scheduler(shm)
  const sink = twice.add(new NullSink())
  for (const queue of queues) sink.in.connect(queue)
  await rejectsCode(t, twice.run(), INVALID, 'NullSink1.in', 'already')
  const same = new Scheduler(shm)
  const source = same.add(new NullSource({ size: 10 }))
  for (let i = 0; i < 2; i++) source.out.connect(queues[0]!)
  await rejectsCode(t, same.run(), INVALID, 'NullSource1.out', '"one"', 'already')
  const both = new Scheduler(shm)
  const [from, to] = [both.add(new NullSource({ size: 10 })), both.add(new NullSink())]
  both.link(from.out, to.in)
  to.in.connect(queues[0]!)
  await rejectsCode(t, both.run(), INVALID, 'NullSink1.in', 'already')
})

test('a queue of another domain', async (t) => {
  const [shm, other] = [openDomain(t), openDomain(t)]
  const scheduler = new Scheduler(shm)
  scheduler.add(new NullSink()).in.connect(other.portQueue('queue', {}))
  await rejectsCode(t, scheduler.run(), INVALID, 'NullSink1.in', 'queue', other.domain, shm.domain)
  const dead = { onError: { deadLetters: other.portQueue('dead', {}) } }
  throwsCode(t, () => scheduler.add(new NullSink(), dead), INVALID, 'NullSink2', 'dead', other.domain, shm.domain)
})

test('a queue for dead letters that does not exist, a thread that does not exist', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', {})
  const scheduler = new Scheduler(shm)
  scheduler.add(new NullSink(), { onError: { deadLetters: shm.portQueue('dead') } }).in.connect(queue)
  await rejectsCode(t, scheduler.run(), INVALID, 'NullSink1', '"dead"')
  const pinned = new Scheduler(shm, { threads: 2, policy: 'pinned' })
  pinned.add(new NullSink(), { thread: 2 }).in.connect(queue)
  await rejectsCode(t, pinned.run(), INVALID, 'NullSink1', '2')
})

test('ends before it has begun', async (t) => {
  const scheduler = new Scheduler(openDomain(t))
  await rejectsCode(t, scheduler.stop(), INVALID, 'not been started')
  await rejectsCode(t, scheduler.drain(), INVALID, 'not been started')
  throwsCode(t, () => scheduler.pause(), INVALID, 'not been started')
  throwsCode(t, () => scheduler.resume(), INVALID, 'not been started')
})

test('changes after the start', async (t) => {
  const shm = openDomain(t)
  const scheduler = new Scheduler(shm)
  const [source, sink] = [scheduler.add(new NullSource({ size: 10, count: 1 })), scheduler.add(new NullSink())]
  scheduler.link(source.out, sink.in)
  const ended = scheduler.run()
  const queue = shm.portQueue('queue', {})
  const check = async () => {
    throwsCode(t, () => scheduler.add(new NullSink()), INVALID, 'NullSink', 'has been started')
    throwsCode(t, () => scheduler.link(source.out, sink.in), INVALID, 'NullSource1.out', 'has been started')
    throwsCode(t, () => source.out.connect(queue), INVALID, 'NullSource1.out', 'has been started')
    await rejectsCode(t, scheduler.run(), INVALID, 'has been started')
  }
  await check()
  await ended
  await check()
  for (const timeout of [-1, NaN, '1', null]) {
    await rejectsCode(t, scheduler.stop({ timeout: timeout as never }), INVALID, 'timeout')
    await rejectsCode(t, scheduler.drain({ timeout: timeout as never }), INVALID, 'timeout')
  }
})

test('a manager that is closed', async (t) => {
  const shm = openDomain(t)
  const scheduler = new Scheduler(shm)
  scheduler.link(scheduler.add(new NullSource({ size: 10 })).out, scheduler.add(new NullSink()).in)
  shm.close()
  await rejectsCode(t, scheduler.run(), 'ERR_MILLRACE_CLOSED', shm.domain)
})

test('a buffer that is larger than the domain can hold: the block fails, and is named', async (t) => {
  const shm = openDomain(t, { maxBytes: '8MiB' })
  const scheduler = new Scheduler(shm)
  const source = scheduler.add(new NullSource({ size: '1GiB' }), { name: 'large' })
  scheduler.link(source.out, scheduler.add(new NullSink()).in)
  const error = await rejectsCode(t, scheduler.run(), 'ERR_MILLRACE_TOO_LARGE', '"large"')
  t.like(source.stats(), { state: 'failed', error: error.message, items: 0 })
})

test('blocks of another copy of the package are refused, and the text says so', (t) => {
  const require = createRequire(import.meta.url)
  const other = require('../../flow.cjs') as typeof millraceFlow
  const shm = openDomain(t)
  const scheduler = new Scheduler(shm)
  const own = scheduler.add(new NullSink())
  const [native, script] = [new other.NullSource({ size: 1 }), other.source('one', { out: other.bytes }, () => [])]
  const refused = (add: () => unknown, ...parts: string[]) =>
    throwsCode(t, add, INVALID, 'another copy of millrace', ...parts)
  refused(() => scheduler.add(native), 'block "NullSource"')
  refused(() => scheduler.link(native.out, own.in))
  refused(() => flow('own', shm).add(native))
  refused(() => flow('own', shm).add(script), 'block "one"')
  throwsCode(t, () => scheduler.add(sourceOf('js', { out: bytes }, () => []) as never), INVALID, 'a native block')
})
