// Native blocks, as TypeScript makes, links and runs them. What each does in detail crates/flow tests.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import * as flow from '../../flow.js'
import {
  Copy,
  FileSink,
  FileSource,
  Gain,
  Head,
  Join,
  Merge,
  mock,
  NullSink,
  Scheduler,
  Split,
  Throttle,
} from '../../flow.js'
import { VerifySink, VerifySource } from '../../flow.js'
import { buffersInUse, openDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'

test('every block has the ports that the addon gives it, as fields', (t) => {
  const file = { path: 'file' }
  const made = [
    new Copy(),
    new Gain({ factor: 2 }),
    new Head({ count: 1 }),
    new Throttle({ rate: 1 }),
    new VerifySource({ size: '1KiB' }),
    new VerifySink(),
    new FileSource({ ...file, size: 10 }),
    new FileSink(file),
  ]
  for (const block of made) {
    const { in: input, out: output } = block as Partial<Copy>
    t.deepEqual(block.inputs, input === undefined ? [] : [input as never], block.name)
    t.deepEqual(block.outputs, output === undefined ? [] : [output], block.name)
  }
  const [split, merge] = [new Split({ outputs: 3 }), new Merge({ inputs: 5 })]
  t.deepEqual(
    split.out.map(({ label }) => label),
    ['Split.out0', 'Split.out1', 'Split.out2'],
  )
  t.deepEqual(
    merge.in.map(({ name }) => name),
    ['in0', 'in1', 'in2', 'in3', 'in4'],
  )
  t.is(split.in.label, 'Split.in')
  const [plain, full] = [new Join(), new Join({ policy: 'window', size: 10, leftovers: 'rest' })]
  t.deepEqual([plain.window, plain.rest], [undefined, undefined])
  t.deepEqual(full.outputs, [...full.out, full.window!, full.rest!])
})

test('a join puts together what has the same time, and sends the rest where it is asked to', async (t) => {
  const shm = openDomain(t)
  const scheduler = new Scheduler(shm, { threads: 2 })
  const sources = [20, 10].map((interval, source) =>
    scheduler.add(new VerifySource({ size: 64, count: 100, source, interval })),
  )
  const joined = scheduler.add(new Join({ policy: 'exact', leftovers: 'rest' }))
  const sinks = ['even', 'all', 'rest'].map((name) => scheduler.add(new NullSink(), { name }))
  sources.forEach((source, at) => scheduler.link(source.out, joined.in[at]!))
  ;[...joined.out, joined.rest!].forEach((out, at) => scheduler.link(out, sinks[at]!.in))
  await scheduler.run()
  // Of 0, 20, … 1980 and 0, 10, … 990: the first 50 even ones.
  t.deepEqual(
    sinks.map((sink) => sink.stats().items),
    [50, 50, 100],
  )
  t.is(joined.stats().counters['sets'], 50)
  t.is(buffersInUse(shm), 0)
})

test('a graph of all that pass on: nothing is lost, duplicated or damaged', async (t) => {
  const shm = openDomain(t)
  await using scheduler = new Scheduler(shm, { threads: 2 })
  const source = scheduler.add(new VerifySource({ size: 64, count: 3000, source: 7 }))
  const [head, split] = [scheduler.add(new Head({ count: 2000 })), scheduler.add(new Split({ outputs: 3 }))]
  const [copy, throttle] = [scheduler.add(new Copy()), scheduler.add(new Throttle({ rate: 1e6, burst: 100 }))]
  const [merge, sink] = [scheduler.add(new Merge({ inputs: 3 })), scheduler.add(new VerifySink(), { name: 'verify' })]
  const spare = scheduler.add(new NullSink(), { name: 'spare' })
  scheduler
    .link(source.out, head.in, { capacity: 16 })
    .link(head.out, split.in)
    .link(split.out[0]!, copy.in)
    .link(split.out[1]!, throttle.in)
    .link(copy.out, merge.in[0]!)
    .link(throttle.out, merge.in[1]!)
    .link(split.out[2]!, merge.in[2]!)
    .link(merge.out, sink.in)
    .link(merge.out, spare.in)
  await scheduler.run()
  const { items, counters } = sink.stats()
  t.is(items, 2000)
  t.is(spare.stats().items, 2000)
  t.like(counters, { corrupted: 0, duplicated: 0 })
  t.is(buffersInUse(shm), 0)
})

const samples = (...values: number[]) => new Uint8Array(new Float64Array(values).buffer)

test('samples of JavaScript, through a gain', async (t) => {
  await mock(new Gain({ factor: -2.5, format: 'f64' }), openDomain(t))
    .push('in', samples(1, 2, 1e300), samples(0))
    .run()
    .expect('out', samples(-2.5, -5, -2.5e300), samples(-0))
  t.pass()
})

test('a file into a file', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-flow-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [from, to] = ['from', 'to'].map((name) => join(folder, name))
  const content = Uint8Array.from({ length: 100_001 }, (_, at) => at * 7)
  writeFileSync(from!, content)
  const scheduler = new Scheduler(openDomain(t), { policy: 'thread-per-block' })
  const source = scheduler.add(new FileSource({ path: from!, size: '4KiB' }))
  scheduler.link(source.out, scheduler.add(new FileSink({ path: to! })).in)
  await scheduler.run()
  t.deepEqual(new Uint8Array(readFileSync(to!)), content)
})

test('a block that fails: the run does, with its name, and the others end', async (t) => {
  const shm = openDomain(t)
  const scheduler = new Scheduler(shm)
  const source = scheduler.add(new FileSource({ path: '/nowhere/at/all', size: 10 }), { name: 'reader' })
  const sink = scheduler.add(new NullSink())
  scheduler.link(source.out, sink.in)
  const error = await rejectsCode(t, scheduler.run(), 'ERR_MILLRACE_IO', '"reader"', '/nowhere/at/all')
  t.like(source.stats(), { state: 'failed', error: error.message })
  t.like(sink.stats(), { state: 'stopped', error: null, items: 0 })
})

test('messages that a block fails with: skipped, tried again, or moved to the dead letters', async (t) => {
  const shm = openDomain(t)
  const dead = shm.portQueue('dead', {})
  for (const [name, onError] of [
    ['skips', 'skip'],
    ['retries', { retries: 2, action: 'skip' }],
    ['buries', { deadLetters: dead }],
  ] as const) {
    const queue = shm.portQueue(name, {})
    const scheduler = new Scheduler(shm, { threads: 1 })
    const gain = scheduler.add(new Gain({ factor: 1 }), { name, onError })
    const sink = scheduler.add(new NullSink())
    gain.in.connect(queue)
    scheduler.link(gain.out, sink.in)
    // Four bytes are a sample, five are not.
    for (const bytes of [4, 5, 8]) await queue.put(new Uint8Array(bytes))
    queue.close()
    await scheduler.run()
    const { skipped, retried, deadLettered, lost } = gain.stats()
    const expected = { skips: [1, 0, 0, 0], retries: [1, 2, 0, 0], buries: [0, 0, 1, 0] }[name]
    t.deepEqual([skipped, retried, deadLettered, lost], expected, name)
    t.is(sink.stats().items, 2)
  }
  t.is((await dead.get()).length, 5)
  t.is(buffersInUse(shm), 0)
})

test('blocks that wait for each other: the run is stalled, and says who waits for what', async (t) => {
  const scheduler = new Scheduler(openDomain(t))
  const [one, other] = [scheduler.add(new Copy(), { name: 'one' }), scheduler.add(new Copy(), { name: 'other' })]
  scheduler.link(one.out, other.in).link(other.out, one.in)
  await rejectsCode(t, scheduler.run(), 'ERR_MILLRACE_STALLED', '"one.in"', '"other.out"', 'waits')
})

test('every native block of the addon has its class, and its name', (t) => {
  const functions = Object.values(flow).filter((one) => typeof one === 'function')
  const classes = functions.filter((one) => one.prototype instanceof flow.NativeBlock)
  t.true(classes.length >= 12)
  for (const one of classes) t.is((flow as Record<string, unknown>)[one.name], one)
})
