// A flow whose blocks are in several processes, which it starts, supervises and ends.
import { setTimeout } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import type { ChildState } from '../../flow.js'
import { bytes, flow, map, NullSink, NullSource, source as sourceOf } from '../../flow.js'
import type { FlowFanInArgs } from '../fixtures/flow-fan-in.js'
import type { FlowProcessesArgs } from '../fixtures/flow-processes.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { startChild, until } from '../process/children.js'

interface Ending {
  sent: number
  values: [value: number, times: number][]
  processes: Record<string, ChildState>
}

const expected = (count: number) => Array.from({ length: count }, (_, i) => i * 2 + 1)

/** Runs the flow: everything arrives once and in order, and nothing is left. What became of its places. */
async function runToEnd(t: ExecutionContext, place: Partial<FlowProcessesArgs> = {}): Promise<Ending['processes']> {
  const domain = testDomain(t)
  const shm = domain.open()
  const args: FlowProcessesArgs = { domain: domain.name, count: 5000, ...place }
  const first = startChild(t, 'flow-processes', args)
  t.deepEqual(Object.keys(await first.hear<object>()), ['double', 'plus'])
  const { values, processes } = await first.hear<Ending>()
  await first.done()
  t.deepEqual(
    values,
    expected(5000).map((value) => [value, 1]),
  )
  t.deepEqual(Object.keys(shm.stats().queues), [])
  t.is(buffersInUse(shm), 0)
  t.deepEqual(await shm.fsck(), [])
  return processes
}

test.serial('blocks in three processes: everything arrives in order, and nothing is left', async (t) => {
  const processes = await runToEnd(t)
  t.like(processes, { double: { phase: 'ended', restarts: 0 }, plus: { phase: 'ended', lastExit: { code: 0 } } })
})

test.serial('a process of a flow is killed again and again: it is restarted, and nothing is lost', async (t) => {
  const domain = testDomain(t)
  t.timeout(60_000)
  const shm = domain.open()
  const args: FlowProcessesArgs = { domain: domain.name, count: null }
  const first = startChild(t, 'flow-processes', args)
  await first.hear()
  const pidOf = () => shm.registry.snapshot().participants.find(({ name }) => name === 'plus')?.pid
  let kills = 0
  for (; kills < 5; kills++) {
    await until(() => pidOf() !== undefined)
    const pid = pidOf()!
    await setTimeout(Math.random() * 40)
    process.kill(pid, 'SIGKILL')
    await until(() => pidOf() !== pid)
  }
  // While it is restarted, perhaps.
  first.say('drain')
  const { sent, values, processes } = await first.hear<Ending>()
  await first.done()
  t.deepEqual(
    values.map(([value]) => value).toSorted((a, b) => a - b),
    expected(sent),
  )
  t.like(processes, { plus: { phase: 'ended', restarts: kills, lastExit: { code: 0 } }, double: { restarts: 0 } })
  t.is(buffersInUse(shm), 0)
  t.deepEqual(await shm.fsck(), [])
})

for (const [kind, at100, how] of [
  ['process', 'throw', 'exit code 1'],
  ['process', 'exit', 'exit code 7'],
  ['worker', 'throw', 'exit code 1'],
  ['worker', 'exit', 'exit code 7'],
  ['worker', 'heap', 'Worker terminated due to reaching memory limit: JS heap out of memory'],
  ['worker', 'uncaught', 'a hundred'],
] as const) {
  test.serial(`a ${kind} that fails for good fails the run, by its name: ${at100}`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const worker = kind === 'worker'
    const args: FlowProcessesArgs = { domain: domain.name, count: 5000, at100, worker }
    const first = startChild(t, 'flow-processes', args)
    await first.hear()
    const { code, error } = await first.hear<{ code: string; error: string }>()
    t.is(code, 'ERR_MILLRACE_BLOCK_FAILED')
    t.is(error, `flow "numbers" has lost ${kind} "double" with block "double" (${how})`)
    await first.done()
    t.deepEqual(Object.keys(shm.stats().queues), [])
    t.is(buffersInUse(shm), 0)
    t.is(shm.registry.snapshot().participants.length, 1)
    t.deepEqual(await shm.fsck(), [])
  })
}

test.serial('a worker thread that does not end is terminated, and nothing is left', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const args: FlowProcessesArgs = { domain: domain.name, count: 200, at100: 'spin', worker: true, stallTimeout: 500 }
  const first = startChild(t, 'flow-processes', args)
  await first.hear()
  const { error, processes } = await first.hear<{ error: string; processes: Record<string, ChildState> }>()
  await first.done()
  t.is(error, 'flow "numbers" has lost worker "double" with block "double" (killed by its stallTimeout)')
  t.like(processes, { double: { phase: 'ended', restarts: 0, lastExit: { timeout: 'stall' } } })
  t.deepEqual(Object.keys(shm.stats().queues), [])
  t.is(buffersInUse(shm), 0)
  t.is(shm.registry.snapshot().participants.length, 1)
})

test.serial('a block in a worker thread: everything arrives in order, and nothing is left', async (t) => {
  const processes = await runToEnd(t, { worker: true })
  t.like(processes, { double: { phase: 'ended', lastExit: { code: 0 } }, plus: { phase: 'ended' } })
})

test.serial('a process of a flow whose event loop hangs is killed, and one that waits is not', async (t) => {
  t.timeout(60_000)
  const domain = testDomain(t)
  const args = { domain: domain.name, count: 200 }
  const hangs: FlowProcessesArgs = { ...args, at100: 'spin', stallTimeout: 500 }
  const first = startChild(t, 'flow-processes', hangs)
  await first.hear()
  const { processes } = await first.hear<{ processes: Record<string, ChildState> }>()
  await first.done()
  t.like(processes, {
    double: { phase: 'gave-up', restarts: 3, lastExit: { signal: 'SIGKILL', timeout: 'stall' } },
    plus: { phase: 'ended', restarts: 0 },
  })
  const waits: FlowProcessesArgs = { ...args, at100: 'wait', stallTimeout: 2000 }
  const second = startChild(t, 'flow-processes', waits)
  await second.hear()
  const ending = await second.hear<Ending>()
  await second.done()
  t.is(ending.values.length, 200)
  t.like(ending.processes, { double: { phase: 'ended', restarts: 0 } })
})

for (const native of [false, true]) {
  test.serial(
    `one input, senders in three processes: all arrives, ${native ? 'at a native block' : 'and goes back'}`,
    async (t) => {
      const domain = testDomain(t)
      const shm = domain.open()
      const first = startChild(t, 'flow-fan-in', { domain: domain.name, native } satisfies FlowFanInArgs)
      t.is(await first.hear(), 6200)
      await first.done()
      t.deepEqual(Object.keys(shm.stats().queues), [])
      t.is(buffersInUse(shm), 0)
      t.deepEqual(await shm.fsck(), [])
    },
  )
}

const pass = (name: string) => map(name, bytes, bytes, (value) => value)

test('what cannot be placed is refused', async (t) => {
  const f = flow('placed', openDomain(t))
  const source = f.add(new NullSource({ size: 10, count: 1 }), { process: 'other' })
  const near = f.add(new NullSource({ size: 10, count: 1 }))
  const sink = f.add(new NullSink())
  const refused = (block: () => unknown, ...parts: string[]) =>
    throwsCode(t, block, 'ERR_MILLRACE_INVALID_ARGUMENT', ...parts)
  refused(() => f.add(new NullSink(), { process: '' }), 'process')
  refused(() => f.add(new NullSink(), { replicas: 2 }), 'native', 'replicas')
  refused(() => f.add(pass('none'), { replicas: 0 }), 'replicas of block "none"', '0')
  refused(() => f.add(pass('alone'), { partitionBy: () => 1 }), 'partitionBy of block "alone"', '"replicas"')
  refused(() => f.add(pass('batch'), { batch: 257 }), 'batch of block "batch"', '257')
  refused(
    () =>
      f.add(
        sourceOf('all', { out: bytes }, () => []),
        { replicas: 2 },
      ),
    '"all" has no inputs',
  )
  f.add(pass('two'), { process: 'cpu', replicas: 2 })
  refused(() => f.add(pass('both'), { process: 'a', worker: true }), '"process" or "worker"')
  refused(() => f.add(pass('kind'), { worker: 'cpu', replicas: 2 }), '"cpu" is the process of block "two"')
  refused(() => f.add(new NullSink(), { worker: true }), 'native', 'worker')
  refused(() => f.add(pass('three'), { process: 'cpu', replicas: 3 }), '"three" in process "cpu" has 3, "two" 2')
  refused(() => f.add(pass('one'), { process: 'cpu' }), '"one" in process "cpu" has none, "two" 2')
  refused(() => f.add(pass('same'), { process: 'cpu.1' }), 'process "cpu.1" of block "same"')
  f.link(source.out, sink.in)
  f.link(near.out, sink.in)
  await rejectsCode(t, f.start({ processes: { nobody: {} } }), 'ERR_MILLRACE_INVALID_ARGUMENT', '"nobody"')
  await rejectsCode(t, f.start({ workers: { cpu: {} } }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'in worker "cpu"')
  await rejectsCode(t, f.start(), 'ERR_MILLRACE_INVALID_ARGUMENT', 'input "in" of block "two" is linked to nothing')
})
