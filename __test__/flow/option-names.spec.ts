// A name that is no option is an error that names it, wherever options are taken: what is misspelt would have its default otherwise.
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import type { Flow } from '../../flow.js'
import {
  drawFlow,
  filter,
  flow,
  group,
  importBlock,
  map,
  mock,
  NullSink,
  NullSource,
  objects,
  Scheduler,
  sink,
  source,
  Supervisor,
  timer,
  type,
  validateFlow,
} from '../../flow.js'
import type { ShmManager } from '../../index.js'
import { openDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

const INVALID = 'ERR_MILLRACE_INVALID_ARGUMENT'
const number = type<number>('json')
const take = () => sink('sink', number, () => {})
const give = () => source('source', { out: number }, () => [1])

/** A flow of one source and one sink, which are not linked yet. */
function parts(shm: ShmManager) {
  const f = flow('names', shm)
  return { f, from: f.add(give()), to: f.add(take()) }
}

/** A flow that is ready to be started, with blocks in a process and in a worker thread. */
function placed(shm: ShmManager): Flow {
  const f = flow('names', shm)
  f.link(f.add(give(), { process: 'other' }).out, f.add(take(), { worker: 'thread' }).in)
  return f
}

/** What is called with an option misspelt, and what the message says. `never`: the compiler knows of them, too. */
const MISSPELT: [says: string, call: (shm: ShmManager) => unknown][] = [
  [`the supervisor has no option "sginal": did you mean "signal"`, () => new Supervisor({ sginal: 1 } as never)],
  [
    `stop has no option "throwIfKild": did you mean "throwIfKilled"`,
    () => new Supervisor().stop({ throwIfKild: 1 } as never),
  ],
  [
    `child "one" has no option "restrat": did you mean "restart"`,
    () => new Supervisor().start('one', { module: 'x', restrat: 'never' } as never),
  ],
  [
    `backoff of child "one" has no option "jiter": did you mean "jitter"`,
    () => new Supervisor().start('one', { module: import.meta.filename, backoff: { jiter: 1 } } as never),
  ],
  [`flow "names" has no option "treads": did you mean "threads"`, (shm) => flow('names', shm, { treads: 1 } as never)],
  [`the scheduler has no option "thread": did you mean "threads"`, (shm) => new Scheduler(shm, { thread: 1 } as never)],
  [
    `block "NullSink" has no option "replicas": there are name, onError, priority, thread`,
    (shm) => new Scheduler(shm).add(new NullSink(), { replicas: 2 } as never),
  ],
  [
    `onError of block "NullSink1" has no option "retrys": did you mean "retries"`,
    (shm) => new Scheduler(shm).add(new NullSink(), { onError: { retrys: 2 } } as never),
  ],
  [`drain has no option "time": there are timeout`, (shm) => new Scheduler(shm).drain({ time: 1 } as never)],
  [`stop has no option "timout": did you mean "timeout"`, (shm) => new Scheduler(shm).stop({ timout: 1 } as never)],
  [
    `block "sink" has no option "proces": did you mean "process"`,
    (shm) => flow('names', shm).add(take(), { proces: 'x' } as never),
  ],
  [
    `block "sink" has no option "proces"`,
    (shm) =>
      flow('names', shm).use(
        group('g', (g) => g.add(take(), { proces: 'x' } as never)),
        {},
      ),
  ],
  [
    `group "g" has no option "nmae": did you mean "name"`,
    (shm) =>
      flow('names', shm).use(
        group('g', () => 1),
        {},
        { nmae: 'x' } as never,
      ),
  ],
  [
    `link source.out → sink.in has no option "capcity": did you mean "capacity"`,
    (shm) => {
      const { f, from, to } = parts(shm)
      f.link(from.out, to.in, { capcity: 4 } as never)
    },
  ],
  [
    `feedback of link source.out → sink.in must be true or false, not 1`,
    (shm) => {
      const { f, from, to } = parts(shm)
      f.link(from.out, to.in, { feedback: 1 } as never)
    },
  ],
  [
    `link NullSource1.out → NullSink1.in has no option "name": there are capacity`,
    (shm) => {
      const s = new Scheduler(shm)
      s.link(s.add(new NullSource({ size: 1 })).out, s.add(new NullSink()).in, { name: 'x' } as never)
    },
  ],
  [`start has no option "process": did you mean "processes"`, (shm) => parts(shm).f.start({ process: {} } as never)],
  [
    `process "other" has no option "restrat": did you mean "restart"`,
    (shm) => placed(shm).start({ processes: { other: { restrat: 'never' } } } as never),
  ],
  [
    `worker "thread" has no option "restart": there are module`,
    (shm) => placed(shm).start({ workers: { thread: { restart: 'never' } } } as never),
  ],
  [`processes must be an object, not 7`, (shm) => placed(shm).start({ processes: 7 } as never)],
  [
    `block "m" has no option "concurency": did you mean "concurrency"`,
    () => map('m', number, number, (n) => n, { concurency: 2 } as never),
  ],
  [
    `block "m" has no option "orderd": did you mean "ordered"`,
    () => filter('m', number, () => true, { orderd: false } as never),
  ],
  [`block "s" has no option "outs": did you mean "out"`, () => source('s', { outs: number } as never, () => [1])],
  [`block "t" has no option "intervall": did you mean "interval"`, () => timer('t', { intervall: 5 } as never)],
  [`a type has no option "nam": did you mean "name"`, () => type('json', { nam: 'x' } as never)],
  [`a type has no option "nam": did you mean "name"`, () => objects({ nam: 'x' } as never)],
  [`mock has no option "sed": did you mean "seed"`, (shm) => mock(take(), shm, { sed: 1 } as never)],
  [`run has no option "tim": did you mean "time"`, (shm) => mock(take(), shm).run({ tim: 1 } as never)],
  [
    `a drawing has no option "fromat": did you mean "format"`,
    (shm) => drawFlow(placed(shm), { fromat: 'svg' } as never),
  ],
  [`a flow as data has no option "bas": did you mean "base"`, () => validateFlow('', { bas: '.' } as never)],
  [
    `importBlock has no option "maxBytes": there are base, modules`,
    () => importBlock('b', { module: './x.mjs' }, { maxBytes: 1 } as never),
  ],
  [
    `module of block "b" has no option "exports": did you mean "export"`,
    () => importBlock('b', { module: './x.mjs', exports: 'y' } as never),
  ],
  [`a stream has no option "hwm": there are highWaterMark`, (shm) => shm.portQueue('q').toWeb({ hwm: 1 } as never)],
  [
    `a stream has no option "hwm": there are highWaterMark`,
    (shm) =>
      shm
        .topic('t')
        .subscribe()
        .toWeb({ hwm: 1 } as never),
  ],
]

for (const [at, [says, call]] of MISSPELT.entries()) {
  test(`${at}: ${says}`, async (t) => {
    const shm = openDomain(t)
    await rejectsCode(t, (async () => await call(shm))(), INVALID, says)
  })
}

test('a child whose program does not exist is an error at once that names the file', async (t) => {
  await using supervisor = new Supervisor()
  const missing = join(import.meta.dirname, 'nope.mjs')
  for (const module of [missing, `./${relative(process.cwd(), missing)}`, pathToFileURL(missing)]) {
    const says = `module of child "one" must be a program that exists, not ${JSON.stringify(missing)}`
    throwsCode(t, () => supervisor.start('one', { module }), INVALID, says)
  }
  t.deepEqual(supervisor.children, {})
})

test('a flow whose process has no program is an error at once, and nothing is left of it', async (t) => {
  const shm = openDomain(t)
  const missing = join(import.meta.dirname, 'nope.mjs')
  for (const options of [{ processes: { other: { module: missing } } }, { workers: { thread: { module: missing } } }]) {
    await rejectsCode(t, placed(shm).start(options), INVALID, 'must be a program that exists', missing)
    t.deepEqual(shm.registry.snapshot().queues, [])
  }
})
