// Groups of blocks and links, used several times, with parameters.
import test from 'ava'
import type { UseOptions } from '../../flow.js'
import { flow, group, map, NullSink, NullSource, sink, source } from '../../flow.js'
import { openDomain } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'
import { count, nothingLeft, number } from '../helpers/flow.js'

/** Multiplies, and adds. */
const linear = group('linear', (g, { factor, offset }: { factor: number; offset: number }) => {
  const times = g.add(map('times', number, number, (value) => value * factor))
  const plus = g.add(
    map('plus', number, number, (value) => value + offset),
    { replicas: 2, partitionBy: () => 1 },
  )
  g.link(times.out, plus.in, { capacity: 16 })
  return { in: times.in, out: plus.out }
})

test('a group used twice with its own parameters, and once within another', async (t) => {
  const shm = openDomain(t)
  const f = flow('groups', shm)
  const twice = group('twice', (g) => {
    const [first, second] = [1, 2].map((factor) => g.use(linear, { factor, offset: 1 }))
    g.link(first!.out, second!.in)
    return { in: first!.in, out: second!.out }
  })
  const from = f.add(source('from', { out: number }, () => count(1000)))
  const [one, other] = [f.use(linear, { factor: 3, offset: 2 }), f.use(twice, {}, { name: 'pair' })]
  const got: number[] = []
  const end = f.add(sink('end', number, (batch) => void got.push(...batch)))
  f.link(from.out, one.in).link(one.out, other.in).link(other.out, end.in)
  t.deepEqual(
    f.toJSON().blocks.map(({ name }) => name),
    [
      'from',
      'linear1.times',
      'linear1.plus',
      'pair.linear1.times',
      'pair.linear1.plus',
      'pair.linear2.times',
      'pair.linear2.plus',
      'end',
    ],
  )
  await using run = await f.start()
  await run.done
  t.deepEqual(
    got,
    [...count(1000)].map((value) => (value * 3 + 2 + 1) * 2 + 1),
  )
  nothingLeft(t, shm)
})

test('blocks without a name are numbered within their group', async (t) => {
  const f = flow('native', openDomain(t))
  const pair = group('pair', (g, { size }: { size: number }) => {
    const [from, to] = [g.add(new NullSource({ size, count: 10 })), g.add(new NullSink())]
    g.link(from.out, to.in)
    return { to }
  })
  const sinks = [1, 2].map((size) => f.use(pair, { size }).to)
  t.deepEqual(
    sinks.map(({ name }) => name),
    ['pair1.NullSink1', 'pair2.NullSink1'],
  )
  await using run = await f.start()
  await run.done
  t.deepEqual(
    sinks.map((one) => one.stats().items),
    [10, 10],
  )
})

test('what is wrong with a use is said', (t) => {
  const f = flow('wrong', openDomain(t))
  const use = (used: unknown, parameters: unknown, options?: UseOptions) =>
    f.use(used as typeof linear, parameters as { factor: number; offset: number }, options)
  throwsCode(t, () => group('a b', () => {}), 'ERR_MILLRACE_INVALID_NAME', 'a b')
  throwsCode(t, () => group('a', null as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'group "a"')
  throwsCode(t, () => use({}, {}), 'ERR_MILLRACE_INVALID_ARGUMENT', 'what is used')
  throwsCode(t, () => use(linear, null), 'ERR_MILLRACE_INVALID_ARGUMENT', 'parameters of group "linear"')
  throwsCode(t, () => use(linear, {}, { name: '' }), 'ERR_MILLRACE_INVALID_NAME', 'use of group "linear"')
  f.use(linear, { factor: 1, offset: 1 }, { name: 'same' })
  throwsCode(t, () => use(linear, {}, { name: 'same' }), 'ERR_MILLRACE_INVALID_ARGUMENT', '"same.times"')
})
