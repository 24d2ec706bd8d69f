// What is wrong with a flow is found by its start, all of it at once, and nothing has been made then.
import test from 'ava'
import { bytes, Copy, flow, logs, map, Merge, NullSink, NullSource, objects, sink, source } from '../../flow.js'
import { openDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { nothingLeft, number } from '../helpers/flow.js'
import { until } from '../process/children.js'
import { program } from '../helpers/supervisor.js'

const INVALID = 'ERR_MILLRACE_INVALID_ARGUMENT'

test('all that is wrong is said at once, with block and port, and can be put right', async (t) => {
  const shm = openDomain(t, { maxBytes: '1MiB' })
  const f = flow('wrong', shm)
  const large = f.add(new NullSource({ size: '2MiB' }), { name: 'large' })
  const merge = f.add(new Merge({ inputs: 2 }), { name: 'merge' })
  const copy = f.add(new Copy(), { name: 'copy' })
  const split = f.add(map('split', bytes, bytes, (value) => value))
  f.link(large.out, merge.in[0]!).link(merge.out, copy.in).link(copy.out, merge.in[1]!)
  const { message } = await rejectsCode(t, f.start(), INVALID)
  t.deepEqual(message.split('\n'), [
    'flow "wrong" has 4 faults:',
    '  input "in" of block "split" is linked to nothing',
    '  output "out" of block "split" is linked to nothing',
    '  links lead in a circle: merge.out → copy.in, copy.out → merge.in1; mark the one that leads back by "feedback: true"',
    '  size of block "large" is 2097152: its messages need buffers of 2097152 bytes, and maxBytes of the domain is 1048576',
  ])
  t.false(f.started)
  nothingLeft(t, shm)
  f.link(copy.out, split.in).link(split.out, f.add(new NullSink()).in)
  await rejectsCode(t, f.start(), INVALID, 'has 2 faults')
})

test('a circle with a mark runs, and a mark of no circle is refused', async (t) => {
  const shm = openDomain(t)
  const f = flow('circle', shm)
  const from = f.add(new NullSource({ size: 8, count: 1 }), { name: 'from' })
  const merge = f.add(new Merge({ inputs: 2 }), { name: 'merge' })
  let rounds = 0
  const step = f.add(map('step', bytes, bytes, (value) => value))
  const end = f.add(sink('end', bytes, () => void rounds++))
  f.link(from.out, merge.in[0]!).link(merge.out, step.in)
  f.link(step.out, merge.in[1]!, { feedback: true }).link(step.out, end.in)
  const run = await f.start()
  await until(() => rounds >= 10)
  await run.stop()
  const g = flow('line', shm)
  g.link(g.add(new NullSource({ size: 8 }), { name: 'from' }).out, g.add(new NullSink(), { name: 'end' }).in, {
    feedback: true,
  })
  await rejectsCode(t, g.start(), INVALID, 'link from.out → end.in is marked as feedback', '"end" to "from"')
})

test('links to one input share a queue, so their options are the same', (t) => {
  const shm = openDomain(t)
  const f = flow('shared', shm)
  const [one, two] = ['one', 'two'].map((name) => f.add(source(name, { out: number }, () => [])))
  const end = f.add(sink('end', number, () => {}))
  f.link(one!.out, end.in, { capacity: 4, overflow: 'block' })
  for (const [option, value, first] of [
    ['capacity', 8, '4'],
    ['overflow', 'latest', '"block"'],
    ['delivery', 'at-least-once', '"at-most-once"'],
    ['name', 'queue', 'undefined'],
    ['onPeerLost', 'drop', '"block"'],
  ] as const) {
    const link = () => f.link(two!.out, end.in, { [option]: value })
    throwsCode(t, link, INVALID, `${option} of link two.out → end.in`, 'one.out → end.in', first)
  }
  f.link(two!.out, end.in, { capacity: 4, delivery: 'at-most-once' })
})

test('what would wait for its own end, and objects between processes', async (t) => {
  const shm = openDomain(t)
  const f = flow('apart', shm)
  const item = objects<number>()
  const far = f.add(
    map('far', item, item, (value) => value),
    { worker: true },
  )
  f.link(f.add(source('from', { out: item }, () => [])).out, far.in).link(
    far.out,
    f.add(sink('end', item, () => {})).in,
  )
  const log = f.add(logs('log'))
  f.link(
    log.out,
    f.add(
      sink('keep', log.out.type as never, () => {}),
      { process: 'cpu' },
    ).in,
  )
  await rejectsCode(
    t,
    f.start(),
    INVALID,
    'has 3 faults',
    'from.out',
    'far.in',
    'far.out',
    'end.in',
    'block "keep" is in "cpu"',
  )
  nothingLeft(t, shm)
})

test.serial('a process that cannot start fails the run, by the names of the process and of its block', async (t) => {
  const shm = openDomain(t)
  for (const [options, how] of [
    [{ module: import.meta.filename, execArgv: ['--no-such-option'] }, 'exit code 9'],
    [program('supervised', { does: 'never ready' }, { startTimeout: 300 }), 'killed by its startTimeout'],
  ] as const) {
    const f = flow('unready', shm)
    const from = f.add(source('from', { out: number }, () => [1, 2, 3]))
    const far = f.add(
      sink('far', number, () => {}),
      { process: 'cpu' },
    )
    f.link(from.out, far.in)
    const run = await f.start({ processes: { cpu: { ...options, restart: 'never', stdio: 'ignore' } } })
    await rejectsCode(t, run.done, 'ERR_MILLRACE_BLOCK_FAILED', `process "cpu" with block "far" (${how})`)
    nothingLeft(t, shm)
  }
})
