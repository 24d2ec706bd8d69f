// The tests of the report about flows across processes: a registry, a port queue, a scheduler of two threads in each process.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import test from 'ava'
import type * as millrace from '../../index.js'
import type { ShmManager } from '../../index.js'
import type * as flow from '../../flow.js'
import { NullSink, NullSource, Scheduler, VerifySink } from '../../flow.js'
import type { FlowSinkArgs } from '../fixtures/flow-sink.js'
import type { FlowSourceArgs } from '../fixtures/flow-source.js'
import { ROOT } from '../helpers/documents.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { startChild, until } from '../process/children.js'

const COUNT = 100
const MANY = process.env['MILLRACE_LONG'] === '1' ? 1_000_000 : 50_000

/** As the report has them. */
const CONSUMER = `
import { ShmManager } from 'millrace'
import { NullSink, Scheduler } from 'millrace/flow'
const shm = ShmManager.open('report')
const sink = new NullSink({ count: 100 }) // done after 100 buffers
sink.in.connect(shm.portQueue('port', { capacity: 256 }))
const scheduler = new Scheduler(shm, { threads: 2 })
scheduler.add(sink)
await scheduler.run() // until all of its blocks are done
console.log(sink.stats().items) // 100
shm.close()
`
const PRODUCER = `
import { ShmManager } from 'millrace'
import { NullSource, Scheduler } from 'millrace/flow'
const shm = ShmManager.open('report')
const source = new NullSource({ size: 1024, count: 100 })
source.out.connect(shm.portQueue('port'))
const scheduler = new Scheduler(shm, { threads: 2 })
scheduler.add(source)
await scheduler.run()
console.log(source.stats().items)
shm.close()
`

/** Pools are whole: nobody holds a buffer, and no message waits. */
function isWhole(shm: ShmManager): boolean {
  return buffersInUse(shm) === 0
}

for (const order of [
  ['consumer', 'producer'],
  ['producer', 'consumer'],
]) {
  test(`the programs of the report as they stand, ${order.join(', then ')}`, async (t) => {
    t.timeout(30_000)
    // Within the package, where its name means itself.
    const folder = mkdtempSync(join(ROOT, 'dist', 'report-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const domains = join(folder, 'domains')
    mkdirSync(domains, { mode: 0o700 })
    writeFileSync(join(folder, 'consumer.mjs'), CONSUMER)
    writeFileSync(join(folder, 'producer.mjs'), PRODUCER)
    const env = { ...process.env, MILLRACE_DIR: domains }
    const children = order.map((name) => spawn(process.execPath, [join(folder, `${name}.mjs`)], { env }))
    const said = await Promise.all(children.map(({ stdout, stderr }) => Promise.all([text(stdout), text(stderr)])))
    t.deepEqual(said, [
      ['100\n', ''],
      ['100\n', ''],
    ])
    t.deepEqual(
      readdirSync(domains).filter((name) => !name.endsWith('.lock')),
      [],
    )
  })
}

test('one producer, one consumer, which is there first', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const shared = { domain: domain.name, queue: 'port' }
  const sink = await startChild(t, 'flow-sink', { ...shared, count: COUNT } satisfies FlowSinkArgs).started()
  const source = startChild(t, 'flow-source', { ...shared, count: COUNT } satisfies FlowSourceArgs)
  await source.started()
  t.deepEqual(await Promise.all([source.hear(), sink.hear()]), [COUNT, COUNT])
  await Promise.all([source.done(), sink.done()])
  t.true(isWhole(shm))
})

test('one consumer, one producer, which is there first', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const shared = { domain: domain.name, queue: 'port' }
  const source = await startChild(t, 'flow-source', { ...shared, count: COUNT } satisfies FlowSourceArgs).started()
  // Its scheduler has joined.
  await until(() => shm.registry.snapshot().participants.some(({ name }) => name === 'scheduler'))
  const sink = await startChild(t, 'flow-sink', { ...shared, count: COUNT } satisfies FlowSinkArgs).started()
  t.deepEqual(await Promise.all([source.hear(), sink.hear()]), [COUNT, COUNT])
  await Promise.all([source.done(), sink.done()])
  t.true(isWhole(shm))
})

for (const consumerFirst of [true, false]) {
  const order = consumerFirst ? 'the consumer first' : 'the producers first'
  test(`three producers of 50 buffers each, ${order}`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const shared = { domain: domain.name, queue: 'port' }
    const consume = () => startChild(t, 'flow-sink', { ...shared, count: 150 } satisfies FlowSinkArgs).started()
    const produce = () => startChild(t, 'flow-source', { ...shared, count: 50 } satisfies FlowSourceArgs).started()
    const early = consumerFirst ? await consume() : undefined
    const sources = await Promise.all([produce(), produce(), produce()])
    const sink = early ?? (await consume())
    t.deepEqual(await Promise.all([...sources, sink].map((child) => child.hear())), [50, 50, 50, 150])
    await Promise.all([...sources, sink].map((child) => child.done()))
    t.true(isWhole(shm))
  })
}

test('three producers whose buffers a JavaScript consumer takes: each in order', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('port', { capacity: 64 })
  const args: FlowSourceArgs = { domain: domain.name, queue: 'port', count: 50 }
  const sources = [1, 2, 3].map(() => startChild(t, 'flow-source', args))
  const next = new Map<number, bigint>()
  for (let taken = 0; taken < 150; taken++) {
    using message = await queue.receive()
    t.is(message.length, 1024)
    // Nothing says which of them sent it: of each, numbers rise by one from 0.
    const from = [0, 1, 2].find((one) => (next.get(one) ?? 0n) === message.sequence)
    t.not(from, undefined, `number ${message.sequence} is out of order`)
    next.set(from!, message.sequence + 1n)
  }
  t.deepEqual([...next.values()], [50n, 50n, 50n])
  t.is(queue.tryReceive(), null)
  await Promise.all(sources.map((source) => source.done()))
  t.true(isWhole(shm))
})

test('a JavaScript producer and a native sink, which ends when the queue is closed', async (t) => {
  const shm = testDomain(t).open()
  const queue = shm.portQueue('port', { capacity: 16 })
  const scheduler = new Scheduler(shm, { threads: 2 })
  const sink = scheduler.add(new NullSink())
  sink.in.connect(queue)
  const ended = scheduler.run()
  for (let i = 0; i < 1000; i++) await queue.send(shm.allocate(64))
  queue.close()
  const report = await ended
  t.is(sink.stats().items, 1000)
  t.like(report.blocks, [{ name: 'NullSink1', state: 'stopped', itemsIn: 1000, items: 1000, lost: 0, error: null }])
  t.true(isWhole(shm))
})

for (const senderFirst of [true, false]) {
  const order = senderFirst ? 'the sender' : 'the receiver'
  test(`nobody names an option; ${order} is first, and told of that nobody is at the other side`, async (t) => {
    const shm = testDomain(t).open()
    const warned = new Promise<NodeJS.ErrnoException>((resolve) => {
      process.on('warning', function hear(warning) {
        if (!warning.message.includes(shm.domain)) return
        process.off('warning', hear)
        resolve(warning)
      })
    })
    const [sends, receives] = [new Scheduler(shm, { threads: 1 }), new Scheduler(shm, { threads: 1 })]
    const source = sends.add(new NullSource({ size: 64, count: 1000 }), { name: 'source' })
    const sink = receives.add(new NullSink({ count: 1000 }), { name: 'sink' })
    const queue = shm.portQueue(`${shm.domain}-port`)
    source.out.connect(queue)
    sink.in.connect(queue)
    const first = (senderFirst ? sends : receives).run()
    const { name, message, code } = await warned
    t.is(name, 'MillraceWarning')
    t.deepEqual(
      [code, message],
      senderFirst
        ? [
            'MILLRACE_NO_QUEUE',
            `output "source.out" sends nothing to queue "${queue.name}" for 2 s, because nobody has created it: a block that receives from it, or who names its options, does`,
          ]
        : [
            'MILLRACE_NO_PRODUCER',
            `input "sink.in" gets nothing from queue "${queue.name}" for 2 s, and nobody sends there: has it the same name on both sides?`,
          ],
    )
    await Promise.all([first, (senderFirst ? receives : sends).run()])
    t.is(sink.stats().items, 1000)
    t.true(isWhole(shm))
  })
}

test('a source and a sink that are linked in one scheduler', async (t) => {
  const shm = testDomain(t).open()
  await using scheduler = new Scheduler(shm, { threads: 2 })
  const source = scheduler.add(new NullSource({ size: '1KiB', count: 10_000 }), { name: 'source' })
  const sink = scheduler.add(new NullSink(), { name: 'sink' })
  scheduler.link(source.out, sink.in, { capacity: 64 })
  const { blocks } = await scheduler.run()
  t.deepEqual(
    blocks.map(({ name, items }) => [name, items]),
    [
      ['source', 10_000],
      ['sink', 10_000],
    ],
  )
  t.true(isWhole(shm))
})

test('many messages from a process to another: none is lost, duplicated, out of order or damaged', async (t) => {
  const domain = testDomain(t)
  t.timeout(120_000)
  const shm = domain.open()
  const scheduler = new Scheduler(shm, { threads: 2 })
  const sink = scheduler.add(new VerifySink({ count: 2 * MANY }))
  sink.in.connect(shm.portQueue('port', { capacity: 256 }))
  const ended = scheduler.run()
  const sources = [1, 2].map((source) =>
    startChild(t, 'flow-source', {
      domain: domain.name,
      queue: 'port',
      count: MANY,
      verify: source,
    } satisfies FlowSourceArgs),
  )
  await ended
  await Promise.all(sources.map((source) => source.done()))
  const { items, counters } = sink.stats()
  t.is(items, 2 * MANY)
  const { lost, duplicated, reordered, corrupted, unknown } = counters
  t.deepEqual([lost, duplicated, reordered, corrupted, unknown], [0, 0, 0, 0, 0])
  t.true(isWhole(shm))
})

test('loaded by require(), a flow works with a manager of the other entry', async (t) => {
  const require = createRequire(join(ROOT, 'package.json'))
  const { ShmManager: Manager } = require('millrace') as typeof millrace
  const { NullSink: Sink, NullSource: Source, Scheduler: Runner } = require('millrace/flow') as typeof flow
  const ours = openDomain(t)
  const theirs = Manager.open(ours.domain)
  for (const shm of [ours, theirs]) {
    const scheduler = new Runner(shm)
    const source = scheduler.add(new Source({ size: 10, count: 10 }))
    const sink = scheduler.add(new Sink({ count: 10 }))
    source.out.connect(shm.portQueue('queue', {}))
    sink.in.connect(shm.portQueue('queue'))
    await scheduler.run()
    t.is(sink.stats().items, 10)
  }
  theirs.close()
})
