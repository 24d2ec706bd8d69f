// Values that are handed over by reference: the same rules as of any other link, and what such a link refuses.
import test from 'ava'
import type { FlowLinkOptions, PortType, Report } from '../../flow.js'
import { bytes, filter, flow, map, NullSink, NullSource, objects, sink, source, type } from '../../flow.js'
import type { ShmManager } from '../../index.js'
import { openDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { count, nothingLeft } from '../helpers/flow.js'
import { until } from '../process/children.js'

interface Item {
  id: number
}
const item = objects<Item>({ name: 'item' })

function* items(to = Infinity): Generator<Item> {
  for (const id of count(to)) yield { id }
}

const total = ({ blocks }: Report, counter: 'lost' | 'gaps' | 'undelivered') =>
  blocks.reduce((sum, block) => sum + block[counter], 0)

test('the values themselves arrive, in order, at every input', async (t) => {
  const shm = openDomain(t)
  const f = flow('objects', shm)
  const made = [...items(10_000)]
  const [got, other]: [Item[], Item[]] = [[], []]
  const from = f.add(source('from', { out: item }, () => made))
  const pass = f.add(map('pass', item, item, (value) => value))
  const end = f.add(sink('end', item, (batch) => void got.push(...batch)))
  const even = f.add(filter('even', item, ({ id }) => id % 2 === 0))
  const evenEnd = f.add(sink('evenEnd', item, (batch) => void other.push(...batch)))
  f.link(from.out, pass.in, { capacity: 16 }).link(pass.out, end.in).link(from.out, even.in).link(even.out, evenEnd.in)
  await using run = await f.start()
  const { blocks } = await run.done
  t.is(got.length, 10_000)
  t.true(got.every((value, at) => value === made[at]))
  t.true(other.every((value, at) => value === made[2 * at]))
  t.deepEqual(
    blocks.map(({ name, itemsIn, itemsOut, lost }) => [name, itemsIn, itemsOut, lost]),
    [
      ['from', 0, 20_000, 0],
      ['pass', 10_000, 10_000, 0],
      ['end', 10_000, 0, 0],
      ['even', 10_000, 5000, 0],
      ['evenEnd', 5000, 0, 0],
    ],
  )
  nothingLeft(t, shm)
})

test('several outputs to one input; one at a time; many at once', async (t) => {
  const shm = openDomain(t)
  const f = flow('many', shm)
  const got: Item[] = []
  const later = async (value: Item) => await new Promise<Item>((resolve) => setImmediate(resolve, value))
  const stage = f.add(map('stage', item, item, later, { concurrency: 8 }))
  const end = f.add(sink('end', item, (batch) => void got.push(...batch)))
  for (const at of count(3)) f.link(f.add(source(`from${at}`, { out: item }, () => items(500))).out, stage.in)
  f.link(stage.out, end.in, { capacity: 4 })
  await using run = await f.start()
  await run.done
  t.deepEqual(
    got.map(({ id }) => id).toSorted((a, b) => a - b),
    [...count(1500)].map((id) => Math.floor(id / 3)),
  )
  t.like(stage.stats(), { itemsIn: 1500, itemsOut: 1500 })
})

for (const overflow of ['drop-oldest', 'drop-newest', 'latest'] as const) {
  test(`${overflow}: everything has arrived or is counted`, async (t) => {
    const shm = openDomain(t)
    const f = flow('drops', shm)
    const got: number[] = []
    const from = f.add(source('from', { out: item }, () => items(5000)))
    const end = f.add(
      sink('end', item, async (batch) => {
        got.push(...batch.map(({ id }) => id))
        await new Promise((resolve) => setImmediate(resolve))
      }),
    )
    f.link(from.out, end.in, { capacity: 8, overflow })
    await using run = await f.start()
    const { links } = await run.done
    const { gaps } = end.stats()
    t.is(got.length + gaps, 5000)
    const [link] = links
    t.like(link, {
      from: ['from.out'],
      to: 'end.in',
      queue: 'link from.out → end.in',
      sent: 5000,
      dropped: gaps,
      depth: 0,
    })
    t.is(link!.capacity, overflow === 'latest' ? 1 : 8)
    t.is(link!.highWater, link!.capacity)
    t.true(gaps > 0)
    t.deepEqual(
      got,
      got.toSorted((a, b) => a - b),
    )
    if (overflow !== 'drop-newest') t.is(got.at(-1), 4999)
  })
}

test('reject: a full queue is a failure, and nothing is unaccounted for', async (t) => {
  const shm = openDomain(t)
  const f = flow('rejects', shm)
  const from = f.add(source('from', { out: item }, () => items(5000)))
  const end = f.add(sink('end', item, async () => await new Promise((resolve) => setImmediate(resolve))))
  f.link(from.out, end.in, { capacity: 8, overflow: 'reject' })
  const run = await f.start()
  await rejectsCode(t, run.done, 'ERR_MILLRACE_BLOCK_FAILED', '"from"', 'from.out → end.in is full')
  t.is(from.stats().itemsOut, end.stats().itemsIn)
})

test('drained: all that was sent has arrived', async (t) => {
  const shm = openDomain(t)
  const { f, made, end } = endless(shm, item)
  const run = await f.start()
  await until(() => end.stats().items > 1000)
  await run.drain({ timeout: 20_000 })
  t.is(end.stats().items, made())
  nothingLeft(t, shm)
})

const types: Record<string, PortType<Item>> = { objects: item, json: type<Item>('json') }
for (const [name, of] of Object.entries(types)) {
  for (const options of [{}, { capacity: 4 }, { delivery: 'at-least-once' }] as FlowLinkOptions[]) {
    if (of === item && options.delivery !== undefined) continue
    test(`stopped, ${name}, ${JSON.stringify(options)}: what was made has arrived, or is lost`, async (t) => {
      const shm = openDomain(t)
      const { f, made, end } = endless(shm, of, options)
      const run = await f.start()
      await until(() => end.stats().items > 1000)
      const report = await run.stop()
      t.is(made(), end.stats().itemsIn + total(report, 'lost') + total(report, 'undelivered'))
      nothingLeft(t, shm)
    })
  }
}

/** A flow that goes on for ever, and how many values its source has yielded. */
function endless(shm: ShmManager, of: PortType<Item>, options: FlowLinkOptions = {}) {
  let made = 0
  const f = flow('endless', shm)
  const from = f.add(
    source('from', { out: of }, function* () {
      for (;;) yield { id: made++ }
    }),
  )
  const odd = f.add(map('all', of, of, (value) => value))
  const stage = f.add(map('later', of, of, (value) => Promise.resolve(value), { concurrency: 3 }))
  const end = f.add(sink('end', of, async () => await new Promise((resolve) => setImmediate(resolve))))
  f.link(from.out, odd.in, options).link(odd.out, stage.in, options).link(stage.out, end.in, options)
  return { f, made: () => made, end }
}

function unlucky(value: Item): Item {
  if (value.id % 10 === 3) throw new Error('unlucky')
  return value
}

test('skipped and tried again; a failure loses what comes after it, and counts that', async (t) => {
  const shm = openDomain(t)
  for (const onError of ['skip', 'fail'] as const) {
    const f = flow('failing', shm)
    let made = 0
    const from = f.add(
      source('from', { out: item }, function* () {
        for (; made < 100; made++) yield { id: made }
      }),
    )
    const stage = f.add(map('stage', item, item, unlucky), { onError: { retries: 1, action: onError } })
    const end = f.add(sink('end', item, () => {}))
    f.link(from.out, stage.in).link(stage.out, end.in)
    const run = await f.start()
    if (onError === 'skip') await run.done
    else await rejectsCode(t, run.done, 'ERR_MILLRACE_BLOCK_FAILED', '"stage"', 'unlucky')
    const expected =
      onError === 'skip'
        ? { retried: 10, skipped: 10, itemsIn: 100, itemsOut: 90 }
        : { retried: 1, skipped: 0, itemsIn: 3, itemsOut: 3 }
    t.like(stage.stats(), expected)
    t.is(stage.stats().itemsIn + stage.stats().lost + from.stats().undelivered, made)
  }
})

test('nobody listens any more, and the manager is closed', async (t) => {
  const shm = openDomain(t)
  const { f, end } = endless(shm, item)
  const run = await f.start()
  await until(() => end.stats().items > 0)
  shm.close()
  await rejectsCode(t, run.done, 'ERR_MILLRACE_CLOSED', 'ShmManager')

  const g = flow('closed', openDomain(t))
  const from = g.add(source('from', { out: item }, () => items()))
  const stage = g.add(map('stage', item, item, (value) => value))
  const first = g.add(sink('end', item, () => Promise.reject(new Error('enough'))))
  g.link(from.out, stage.in).link(stage.out, first.in)
  await rejectsCode(t, (await g.start()).done, 'ERR_MILLRACE_BLOCK_FAILED', 'enough')
  t.is(from.stats().state, 'stopped')
})

test('what cannot be: native blocks, queues, other processes, at-least-once, dead letters', async (t) => {
  const shm = openDomain(t)
  const f = flow('refused', shm)
  const from = f.add(source('from', { out: item }, () => items(1)))
  const pass = f.add(map('pass', item, item, (value) => value))
  const text = f.add(sink('text', type<Item>('json', { name: 'text' }), () => {}))
  const code = 'ERR_MILLRACE_INVALID_ARGUMENT'
  const native = f.add(new NullSink())
  throwsCode(t, () => f.link(from.out, native.in), code, 'from.out', 'NullSink1.in', 'native', "type('json')")
  const nativeSource = f.add(new NullSource({ size: 1 }))
  throwsCode(t, () => f.link(nativeSource.out as never, pass.in), code, 'NullSource1.out', 'pass.in', 'native')
  throwsCode(t, () => f.link(from.out, text.in), code, 'from.out', '"item" by reference', 'text.in', '"text"')
  throwsCode(t, () => f.link(from.out, pass.in, { delivery: 'at-least-once' }), code, 'from.out → pass.in')
  throwsCode(t, () => from.out.connect(shm.portQueue<Item>('queue')), code, 'from.out', '"queue"')
  throwsCode(t, () => pass.in.connect(shm.portQueue<Item>('queue')), code, 'pass.in', '"queue"')
  const onError = { deadLetters: shm.portQueue('dead') }
  throwsCode(
    t,
    () =>
      f.add(
        sink('end', item, () => {}),
        { onError },
      ),
    code,
    '"end"',
    '"in"',
    '"dead"',
  )
  throwsCode(
    t,
    () =>
      f.add(
        source('own', { out: bytes }, () => []),
        { onError: 'skip' },
      ),
    code,
    '"own"',
    'SourceBlock',
  )
  throwsCode(t, () => objects({ name: 1 as never }), code, 'the name of a type')

  const g = flow('apart', shm)
  const here = g.add(source('here', { out: item }, () => items(1)))
  const there = g.add(
    sink('there', item, () => {}),
    { process: 'other' },
  )
  g.link(here.out, there.in)
  await rejectsCode(t, g.start(), code, 'here.out', 'there.in', 'another process')
})
