// What a flow says of itself: times, links, latencies.
import test from 'ava'
import { activityBetween, bytes, Copy, flow, map, NullSink, NullSource, Scheduler, sink, source } from '../../flow.js'
import { openDomain } from '../helpers/domain.js'
import { until } from '../process/children.js'

const PAUSE_MS = 20

test('links and latencies of a scheduler, also when it has ended', async (t) => {
  const scheduler = new Scheduler(openDomain(t), { threads: 2 })
  const from = scheduler.add(new NullSource({ size: 8, count: 5000 }), { name: 'from' })
  const copy = scheduler.add(new Copy(), { name: 'copy' })
  const end = scheduler.add(new NullSink(), { name: 'end' })
  scheduler.link(from.out, copy.in, { capacity: 64 }).link(copy.out, end.in)
  t.deepEqual(scheduler.stats().links, [])
  const { blocks, links } = await scheduler.run()
  t.like(links, [
    { from: ['from.out'], to: 'copy.in', capacity: 64, depth: 0, sent: 5000, dropped: 0, oldest: null },
    { from: ['copy.out'], to: 'end.in', capacity: 1024, depth: 0, sent: 5000, dropped: 0, oldest: null },
  ])
  t.true(links[0]!.highWater > 0 && links[0]!.highWater <= 64)
  for (const [at, to] of [
    [1, 'copy.in'],
    [2, 'end.in'],
  ] as const) {
    const [latency] = blocks[at]!.latencies
    t.like(latency, { from: ['from'], to, count: 5000 })
    t.true(latency!.p50 > 0 && latency!.p50 <= latency!.p99 && latency!.p99 <= latency!.max)
  }
  t.deepEqual(blocks[0]!.latencies, [])
  t.true(blocks.every(({ working, workMax }) => working === 0 && workMax > 0))
})

test('how old the next message of a link is, and who waits there', async (t) => {
  const shm = openDomain(t)
  await using scheduler = new Scheduler(shm, { threads: 1 })
  const from = scheduler.add(new NullSource({ size: 8, count: 100 }), { name: 'from' })
  from.out.connect(shm.portQueue('full', { capacity: 4 }))
  void scheduler.run()
  const link = () => scheduler.stats().links[0]!
  await until(() => link().depth === 4 && link().sendWaits > 0)
  t.like(link(), { from: ['from.out'], to: null, queue: 'full', capacity: 4, highWater: 4 })
  const { oldest } = link()
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  t.true(link().oldest! > oldest!)
})

test('what a block did in each second', async (t) => {
  const shm = openDomain(t)
  const f = flow('rates', shm)
  const from = f.add(new NullSource({ size: 8 }), { name: 'from' })
  const copy = f.add(map('copy', bytes, bytes, (value) => value))
  const slow = f.add(sink('slow', bytes, () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS))))
  f.link(from.out, copy.in, { capacity: 4 }).link(copy.out, slow.in, { capacity: 4 })
  const run = await f.start()
  const blocks = () => Object.fromEntries(run.stats().blocks.map((block) => [block.name, block]))
  await until(() => slow.stats().workCalls > 2)
  const before = blocks()
  await until(() => slow.stats().workCalls > 10)
  const after = blocks()
  for (const name of ['from', 'copy', 'slow']) {
    const { busy, starved, backpressured, idle } = activityBetween(before[name]!, after[name]!)
    t.true(Math.abs(busy + starved + backpressured + idle - 1000) < 1)
    // The last one is what all wait for.
    t.is(busy > 500, name === 'slow', `${name} ${busy} ${starved} ${backpressured} ${idle}`)
    t.is(backpressured > 500, name !== 'slow', `${name} ${busy} ${starved} ${backpressured} ${idle}`)
  }
  t.true(after['slow']!.workMax >= PAUSE_MS - 1 && after['slow']!.workP50 <= after['slow']!.workP99)
  t.deepEqual(activityBetween(after['from']!, after['from']!), { busy: 0, starved: 0, backpressured: 0, idle: 0 })
  await run.stop()
})

test('links of blocks of JavaScript have both ends, also when they have ended', async (t) => {
  const shm = openDomain(t)
  const f = flow('mixed', shm)
  const made = Array.from({ length: 300 }, (_, at) => new Uint8Array([at]))
  const from = f.add(new NullSource({ size: 8, count: 1000 }), { name: 'from' })
  const also = f.add(source('also', { out: bytes }, () => made))
  const copy = f.add(map('copy', bytes, bytes, (value) => value))
  const last = f.add(map('last', bytes, bytes, (value) => value))
  const end = f.add(new NullSink(), { name: 'end' })
  const other = f.add(sink('other', bytes, () => {}))
  f.link(from.out, copy.in, { capacity: 16 }).link(copy.out, last.in).link(last.out, end.in)
  f.link(also.out, other.in, { capacity: 8 })
  const run = await f.start()
  const { links, blocks } = await run.done
  const counts = links.map(({ from: [one], to, capacity, depth, sent, dropped }) => [
    one,
    to,
    capacity,
    depth,
    sent,
    dropped,
  ])
  t.deepEqual(
    counts.toSorted(([, a], [, b]) => `${a}`.localeCompare(`${b}`)),
    [
      ['from.out', 'copy.in', 16, 0, 1000, 0],
      ['last.out', 'end.in', 1024, 0, 1000, 0],
      ['copy.out', 'last.in', 1024, 0, 1000, 0],
      ['also.out', 'other.in', 8, 0, 300, 0],
    ],
  )
  // Native sources put a stamp on what they send, and JavaScript has none.
  t.deepEqual(blocks.find(({ name }) => name === 'end')!.latencies, [])
})
