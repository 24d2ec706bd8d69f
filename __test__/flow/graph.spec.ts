// Flows as data: what a flow is as JSON and YAML, and what is made of that again.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import test from 'ava'
import type { FlowData } from '../../flow.js'
import {
  bytes,
  Flow,
  flow,
  formatFlow,
  importBlock,
  map,
  NullSink,
  NullSource,
  parseFlow,
  validateFlow,
} from '../../flow.js'
import * as blocks from '../../lib/flow/generated/blocks.js'
import { collected } from '../fixtures/flow-blocks.js'
import { openDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { nothingLeft } from '../helpers/flow.js'
import { randomFlow } from '../helpers/random-flow.js'

const BLOCKS = '../fixtures/flow-blocks.js'
const base = import.meta.url

/** Everything that data can say. */
const WHOLE: FlowData = {
  millrace: 1,
  name: 'whole',
  scheduler: { threads: 2, policy: 'pinned', slice: 1 },
  blocks: [
    { name: 'numbers', module: BLOCKS, export: 'numbers', settings: { count: 1000 } },
    { name: 'twice', module: BLOCKS, export: 'scale', onError: { retries: 2, backoff: 1, deadLetters: 'bad' } },
    { name: 'sum', module: BLOCKS, export: 'Sum', settings: { from: 10 } },
    { name: 'collect', module: BLOCKS, export: 'collect' },
    { name: 'read', class: 'NullSource', settings: { size: 100, count: 50 }, thread: 1, priority: 'low' },
    { name: 'copy', class: 'Copy', onError: 'skip', outputs: { out: ['copies', 'more'] } },
  ],
  links: [
    { from: 'numbers.out', to: 'twice.in', capacity: 64, delivery: 'at-least-once', name: 'numbers' },
    { from: 'twice.out', to: 'sum.in' },
    { from: 'sum.out', to: 'collect.in', overflow: 'block' },
    { from: 'read.out', to: 'copy.in', capacity: 8 },
  ],
}

test('data is made into a flow, which is the same data, as JSON and as YAML, and runs', async (t) => {
  const shm = openDomain(t)
  for (const name of ['bad', 'copies', 'more']) shm.portQueue(name, {})
  const made = await Flow.fromJSON(shm, WHOLE, { base })
  t.deepEqual(made.toJSON(), WHOLE)
  t.deepEqual(JSON.parse(JSON.stringify(made)), WHOLE)
  t.deepEqual(parseFlow(formatFlow(made)), WHOLE)
  t.deepEqual((await Flow.fromJSON(shm, formatFlow(made), { base })).toJSON(), WHOLE)
  // Last of all, for it has taken the place of the others.
  const last = await Flow.fromJSON(shm, JSON.stringify(made), { base })
  const run = await last.start()
  const { blocks: counted } = await run.done
  t.deepEqual(Object.fromEntries(counted.map(({ name, items }) => [name, items])), {
    numbers: 1000,
    twice: 1000,
    sum: 1000,
    collect: 1000,
    read: 50,
    copy: 50,
  })
  t.is(collected.get('collect')!.at(-1), 10 + 999 * 1000)
  t.deepEqual(
    ['copies', 'more'].map((name) => shm.portQueue(name).getMany(100).length),
    [50, 50],
  )
  t.deepEqual(last.toJSON(), WHOLE)
})

test.serial('flows made at random are the same after JSON, YAML and a Flow, and have no faults', async (t) => {
  const shm = openDomain(t)
  for (let seed = 0; seed < 60; seed++) {
    const { data } = randomFlow(seed)
    t.deepEqual(await validateFlow(data), [], `seed ${seed}`)
    const made = await Flow.fromJSON(shm, formatFlow(data))
    t.deepEqual(made.toJSON(), data, `seed ${seed}`)
    t.deepEqual(parseFlow(formatFlow(made)), data, `seed ${seed}`)
  }
})

test.serial('flows made at random run: every sink gets what comes to it', async (t) => {
  const shm = openDomain(t)
  for (let seed = 0; seed < 20; seed++) {
    const { data, expected } = randomFlow(seed)
    const run = await (await Flow.fromJSON(shm, data)).start()
    const report = await run.done
    const got = report.blocks.filter(({ name }) => expected.has(name)).map(({ name, items }) => [name, items] as const)
    t.deepEqual(new Map(got), expected, `seed ${seed}`)
  }
  nothingLeft(t, shm)
})

test('processes and their options are part of the data', async (t) => {
  const shm = openDomain(t)
  const data: FlowData = {
    millrace: 1,
    name: 'placed',
    blocks: [
      { name: 'read', class: 'NullSource', settings: { size: 10 }, process: 'far' },
      { name: 'sink', class: 'NullSink' },
    ],
    links: [{ from: 'read.out', to: 'sink.in' }],
    processes: {
      far: { restart: 'always', max: 3, window: null, env: { A: 'b' }, args: ['x'], backoff: { initial: 1 } },
    },
  }
  const made = await Flow.fromJSON(shm, data)
  t.deepEqual(JSON.parse(JSON.stringify(made)), data)
  t.is(made.process, undefined)
})

test('replicas of data: what divides messages among them is exported by their module', async (t) => {
  const shm = openDomain(t)
  const data: FlowData = {
    millrace: 1,
    name: 'divided',
    blocks: [
      { name: 'numbers', module: BLOCKS, export: 'numbers', settings: { count: 100 } },
      { name: 'scale', module: BLOCKS, export: 'scale', replicas: 2, partitionBy: 'lastDigit', batch: 8 },
      { name: 'divided', module: BLOCKS, export: 'collect' },
    ],
    links: [
      { from: 'numbers.out', to: 'scale.in' },
      { from: 'scale.out', to: 'divided.in' },
    ],
  }
  const made = await Flow.fromJSON(shm, data, { base })
  t.deepEqual(made.toJSON(), data)
  const { blocks: counted } = await (await made.start()).done
  const items = counted.filter(({ name }) => name.startsWith('scale.')).map((block) => block.items)
  // Ten of each digit: two of these letters go to the first, eight to the second.
  t.deepEqual(items, [20, 80])
  const wrong = {
    ...data,
    blocks: data.blocks.map((block) => (block.replicas ? Object.assign({}, block, { partitionBy: 'none' }) : block)),
  }
  const fault = `export "none" of module "${BLOCKS}" of block "scale" must be a function`
  await rejectsCode(t, Flow.fromJSON(shm, wrong, { base }), 'ERR_MILLRACE_INVALID_ARGUMENT', fault)
})

test('replicas that a program divides are shown, and refused', async (t) => {
  const shm = openDomain(t)
  const f = flow('own', shm)
  const block = await importBlock('scale', { module: BLOCKS, export: 'scale' }, { base })
  f.add(block, { replicas: 2, partitionBy: String })
  t.deepEqual(f.toJSON().blocks, [{ name: 'scale', closure: 'MapBlock', replicas: 2 }])
})

test('a block of a program is shown by its class, and refused', async (t) => {
  const shm = openDomain(t)
  const f = flow('mixed', shm)
  const read = f.add(new NullSource({ size: '1KiB', count: 1 }))
  const pass = f.add(map('pass', bytes, bytes, (value) => value))
  const sink = f.add(new NullSink())
  f.link(read.out, pass.in).link(pass.out, sink.in, { feedback: false })
  const data: FlowData = {
    millrace: 1,
    name: 'mixed',
    blocks: [
      { name: 'NullSource1', class: 'NullSource', settings: { size: 1024, count: 1 } },
      { name: 'pass', closure: 'MapBlock' },
      { name: 'NullSink1', class: 'NullSink' },
    ],
    links: [
      { from: 'NullSource1.out', to: 'pass.in' },
      { from: 'pass.out', to: 'NullSink1.in', feedback: false },
    ],
  }
  t.deepEqual(f.toJSON(), data)
  await using run = await f.start()
  t.deepEqual(f.toJSON(), data, 'while it runs')
  await run.done
  const { message } = await rejectsCode(t, Flow.fromJSON(shm, data), 'ERR_MILLRACE_INVALID_ARGUMENT')
  t.is(
    message,
    `flow "mixed" has a fault:\n  block "pass" is code of the program that has made it (MapBlock): give it by "module" and "export"`,
  )
})

test('importBlock makes a block that can be written down', async (t) => {
  const shm = openDomain(t)
  const f = flow('imported', shm)
  const settings = { factor: 3 }
  f.add(await importBlock('triple', { module: BLOCKS, export: 'scale', settings }, { base }), { name: 'three' })
  t.deepEqual(f.toJSON().blocks, [{ name: 'three', module: BLOCKS, export: 'scale', settings }])
  const given = await importBlock(
    'given',
    { module: 'mine', export: 'scale' },
    { modules: { mine: { scale: () => map('x', bytes, bytes, (v) => v) } } },
  )
  t.is(given.name, 'x')
  for (const [module, exported, ...words] of [
    ['./nowhere.js', 'scale', 'module "./nowhere.js" of block "b" cannot be imported', 'Cannot find module'],
    ['no-such-package', 'scale', 'module "no-such-package" of block "b" cannot be imported'],
    [BLOCKS, 'none', `export "none" of module "${BLOCKS}" of block "b" must be a function or a class`, '"scale"'],
    [BLOCKS, 'constant', 'must be a function or a class'],
    [BLOCKS, 'nothing', 'must be a block, of map(), sink() …, not 5'],
    [BLOCKS, 'fails', 'failed: it is Monday'],
  ] as const) {
    const made = importBlock('b', { module, export: exported }, { base })
    await rejectsCode(t, made, 'ERR_MILLRACE_INVALID_ARGUMENT', ...words)
  }
})

test('the schema is in the package, and knows every native block and each of its settings', (t) => {
  const file = createRequire(import.meta.url).resolve('millrace/flow.schema.json')
  const schema = JSON.parse(readFileSync(file, 'utf8')) as {
    $id: string
    $defs: Record<string, { description: string; properties: Record<string, { description: string }> }>
  }
  t.is(schema.$id, 'urn:millrace:flow:1')
  const { size: _, ...classes } = schema.$defs
  t.deepEqual(Object.keys(classes).toSorted(), Object.keys(blocks).toSorted())
  t.is(classes['NullSource']!.properties['size']!.description, 'Size of each message. In bytes.')
})
