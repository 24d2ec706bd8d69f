// Blocks of JavaScript, between themselves and with native ones: everything arrives, in order, once, and nothing is left.
import test from 'ava'
import {
  buffers,
  bytes,
  filter,
  flow,
  Gain,
  Head,
  map,
  NullSink,
  NullSource,
  objects,
  Scheduler,
  sink,
  source,
  VerifySink,
  VerifySource,
} from '../../flow.js'
import type { ShmManager } from '../../index.js'
import { buffersInUse, openDomain } from '../helpers/domain.js'
import { until } from '../process/children.js'
import { count, nothingLeft, number } from '../helpers/flow.js'

/** A flow that counts to `to`, and what its sink has got. */
function counting(shm: ShmManager, to: number) {
  const f = flow('counting', shm)
  const got: number[] = []
  const from = f.add(source('from', { out: number }, () => count(to)))
  const twice = f.add(map('twice', number, number, (value) => value * 2))
  const end = f.add(sink('end', number, (batch) => void got.push(...batch)))
  f.link(from.out, twice.in).link(twice.out, end.in)
  return { f, got, from, twice, end }
}

test('source, map, sink', async (t) => {
  const shm = openDomain(t)
  const { f, got, end } = counting(shm, 10_000)
  await using run = await f.start()
  const { blocks } = await run.done
  t.deepEqual(
    got,
    [...count(10_000)].map((value) => value * 2),
  )
  t.deepEqual(
    blocks.map(({ name, state, itemsIn, itemsOut, items, lost, undelivered }) => [
      name,
      state,
      itemsIn,
      itemsOut,
      items,
      lost,
      undelivered,
    ]),
    [
      ['from', 'stopped', 0, 10_000, 10_000, 0, 0],
      ['twice', 'stopped', 10_000, 10_000, 10_000, 0, 0],
      ['end', 'stopped', 10_000, 0, 10_000, 0, 0],
    ],
  )
  t.is(end.stats().items, 10_000)
  nothingLeft(t, shm)
})

test('native, JavaScript, native: the same bytes, in order', async (t) => {
  const shm = openDomain(t)
  const f = flow('mixed', shm, { threads: 2 })
  const from = f.add(new VerifySource({ size: 64, count: 20_000 }))
  const copy = f.add(map('copy', bytes, bytes, (value) => value))
  const move = f.add(map('move', buffers, buffers, (value) => value))
  const end = f.add(new VerifySink({ strict: true }))
  f.link(from.out, copy.in, { capacity: 64 }).link(copy.out, move.in, { capacity: 64 }).link(move.out, end.in)
  await using run = await f.start()
  await run.done
  t.is(end.stats().items, 20_000)
  t.is(end.stats().counters['lost'], 0)
  t.is(move.stats().itemsOut, 20_000)
  nothingLeft(t, shm)
})

test('JavaScript, native, JavaScript: drained while it runs', async (t) => {
  const shm = openDomain(t)
  const f = flow('samples', shm, { threads: 1 })
  let sent = 0
  let sum = 0
  const from = f.add(
    source('from', { out: bytes }, async function* ({ signal }) {
      for (; !signal.aborted; sent++) yield new Uint8Array(Float32Array.of(sent).buffer)
    }),
  )
  const gain = f.add(new Gain({ factor: 2 }))
  const end = f.add(
    sink('end', bytes, (batch) => batch.forEach((value) => (sum += new Float32Array(value.buffer)[0]!))),
  )
  f.link(from.out, gain.in).link(gain.out, end.in)
  await using run = await f.start()
  while (end.stats().items < 5000) await new Promise((resolve) => setImmediate(resolve))
  await run.drain({ timeout: 20_000 })
  t.is(end.stats().items, sent)
  t.is(sum, sent * (sent - 1))
  nothingLeft(t, shm)
})

test('an output that is linked twice: both get everything, in order', async (t) => {
  const shm = openDomain(t)
  const { f, from, got } = counting(shm, 3000)
  const other: number[] = []
  const even = f.add(filter('even', number, (value) => value % 2 === 0))
  const end = f.add(sink('other', number, (batch) => void other.push(...batch)))
  f.link(from.out, even.in).link(even.out, end.in)
  await using run = await f.start()
  await run.done
  t.is(got.length, 3000)
  t.deepEqual(
    other,
    [...count(3000)].filter((value) => value % 2 === 0),
  )
  t.is(from.stats().itemsOut, 6000)
})

for (const natives of [0, 1, 2]) {
  for (const scripts of [0, 1, 2]) {
    for (const ending of ['native', 'JavaScript']) {
      if (natives + scripts < 2) continue
      test(`${natives} native blocks and ${scripts} of JavaScript to one ${ending} input`, async (t) => {
        const shm = openDomain(t)
        const f = flow('many', shm, { threads: 2 })
        let got = 0
        const end =
          ending === 'native' ? f.add(new NullSink()) : f.add(sink('end', bytes, (batch) => void (got += batch.length)))
        for (let i = 0; i < natives; i++) f.link(f.add(new NullSource({ size: 8, count: 1000 })).out, end.in)
        for (let i = 0; i < scripts; i++) {
          const from = source(`from${i}`, { out: bytes }, () => [...count(1000)].map(() => new Uint8Array(8)))
          f.link(f.add(from).out, end.in)
        }
        await using run = await f.start()
        await run.done
        t.is(end.stats().items, 1000 * (natives + scripts))
        if (ending !== 'native') t.is(got, 1000 * (natives + scripts))
        nothingLeft(t, shm)
      })
    }
  }
}

for (const of of [number, objects<number>()])
  test(`a slow sink slows the source: no more is under way than the queues hold, ${of.name}`, async (t) => {
    const shm = openDomain(t)
    const f = flow('slow', shm)
    let made = 0
    let most = 0
    let got = 0
    const from = f.add(
      source('from', { out: of }, function* () {
        for (; made < 2000; made++) yield made
      }),
    )
    const pass = f.add(map('pass', of, of, (value) => value))
    const end = f.add(
      sink('end', of, async (batch) => {
        got += batch.length
        most = Math.max(most, made - got)
        await new Promise((resolve) => setImmediate(resolve))
      }),
    )
    f.link(from.out, pass.in, { capacity: 16 }).link(pass.out, end.in, { capacity: 16 })
    await using run = await f.start()
    await run.done
    t.is(got, 2000)
    // What the source has, and is sending; two queues; what the map and the sink have.
    t.true(most <= 16 * 6, `${most}`)
  })

test('nobody listens any more: those before end', async (t) => {
  const shm = openDomain(t)
  for (const make of [() => new Head({ count: 10 }), () => map('first', bytes, bytes, (value) => value)]) {
    const f = flow('head', shm, { threads: 1 })
    const from = f.add(
      source('from', { out: bytes }, function* () {
        for (;;) yield new Uint8Array(1)
      }),
    )
    const head = f.add(make())
    const end = f.add(new NullSink({ count: 10 }))
    f.link(from.out, head.in).link(head.out, end.in)
    await using run = await f.start()
    await run.done
    t.is(end.stats().items, 10)
    nothingLeft(t, shm)
  }
})

test('queues of others: emptied by a drain, and neither closed nor removed', async (t) => {
  const shm = openDomain(t)
  const input = shm.portQueue<number>('input', { codec: 'json' })
  const output = shm.portQueue<number>('output', { codec: 'json' })
  const f = flow('outer', shm)
  const twice = f.add(map('twice', number, number, (value) => value * 2))
  twice.in.connect(input)
  twice.out.connect(output)
  await using run = await f.start()
  await input.put(1)
  t.is(await output.get(), 2)
  await input.putMany([2, 3, 4])
  await run.drain()
  t.deepEqual(output.getMany(10), [4, 6, 8])
  t.is(input.info!.closed, false)
  t.is(buffersInUse(shm), 0)
})

test('names of blocks that a queue cannot have, or that are too long, make queues of their own', async (t) => {
  const shm = openDomain(t)
  const long = 'long'.repeat(20)
  const names = ['é', 'ö', '_', `${long}1`, `${long}2`]
  const f = flow('names', shm)
  const got = names.map((name, at) => {
    const values: number[] = []
    const from = f.add(source(`from${at}`, { out: number }, () => [at]))
    f.link(from.out, f.add(sink(name, number, (batch) => void values.push(...batch))).in)
    return values
  })
  await using run = await f.start()
  t.is(Object.keys(shm.stats().queues).length, names.length)
  await run.done
  t.deepEqual(
    got,
    names.map((_, at) => [at]),
  )
})

for (const senderFirst of [true, false]) {
  const order = senderFirst ? 'sends' : 'receives'
  test(`nobody makes the queue between a native block and one of JavaScript; who ${order} is first`, async (t) => {
    const shm = openDomain(t)
    const scheduler = new Scheduler(shm, { threads: 1 })
    const from = scheduler.add(new NullSource({ size: 8, count: 500 }))
    from.out.connect(shm.portQueue('port'))
    let items = 0
    const f = flow('taking', shm)
    const end = f.add(sink('end', bytes, (batch) => void (items += batch.length)))
    end.in.connect(shm.portQueue('port'))
    const sent = senderFirst ? scheduler.run() : undefined
    const run = await f.start()
    await (sent ?? scheduler.run())
    await until(() => items === 500)
    shm.portQueue('port').close()
    await run.done
    t.is(buffersInUse(shm), 0)
  })
}
