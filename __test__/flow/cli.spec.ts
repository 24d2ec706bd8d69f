// Flows by the command line: the real tool, in processes of its own.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { BlockStats, ChildState, FlowFault } from '../../flow.js'
import type { ShmManager } from '../../index.js'
import { sendSignal } from '../../lib/send-signal.js'
import { millrace, type Outcome, type Running, startMillrace } from '../helpers/cli.js'
import { testDomain } from '../helpers/domain.js'
import { nothingLeft } from '../helpers/flow.js'
import { until } from '../process/children.js'

const BLOCKS = new URL('../fixtures/flow-blocks.js', import.meta.url).href

const NULLS = (count: string): string => `
millrace: 1
name: nulls
blocks:
  - { name: read, class: NullSource, settings: { size: 1KiB${count} } }
  - { name: sink, class: NullSink }
links:
  - { from: read.out, to: sink.in, capacity: 64 }
`

/** Numbers through a block in a process of its own. */
const FAR = (far: string, { count = '', delivery = 'at-least-once' } = {}): string => `
millrace: 1
name: numbers
blocks:
  - { name: read, module: '${BLOCKS}', export: numbers, settings: { ${count} } }
  - { name: far, process: cpu, ${far} }
  - { name: sink, module: '${BLOCKS}', export: collect }
links:
  - { from: read.out, to: far.in, capacity: 64, delivery: ${delivery} }
  - { from: far.out, to: sink.in, capacity: 64, delivery: ${delivery} }
processes: { cpu: { backoff: { initial: 0 } } }
`

/** A line of `flow run --json`. */
interface Line {
  flow: string
  process: string | null
  blocks: BlockStats[]
  processes: ChildState[]
  lost: number
  error: { code: string; message: string } | null
}

/** Counts of blocks: taken and sent. */
function countsIn({ blocks }: Line): Record<string, [number, number]> {
  return Object.fromEntries(blocks.map(({ name, itemsIn, itemsOut }) => [name, [itemsIn, itemsOut]]))
}

/** The lines of a run, by process; that of the flow is the last. */
function linesIn({ stdout }: Outcome): Line[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
}

function fileOf(t: ExecutionContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-flow-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'flow.yaml')
  writeFileSync(file, text)
  return file
}

/** Starts a flow in a domain that the test is in, too. */
function startFlow(t: ExecutionContext, text: string, ...options: string[]): Running & { shm: ShmManager } {
  const domain = testDomain(t)
  t.timeout(60_000)
  const shm = domain.open()
  const running = startMillrace('flow', 'run', fileOf(t, text), '--json', '--domain', domain.name, ...options)
  t.teardown(() => sendSignal(running.process, 'SIGKILL'))
  return { ...running, shm }
}

/** Whether a participant of that name is in the domain. */
function isThere(shm: ShmManager, name: string): boolean {
  return shm.registry.snapshot().participants.some((participant) => participant.name === name)
}

test.serial('run: everything arrives, the report is exact, and nothing is left', async (t) => {
  const { ended, shm } = startFlow(t, NULLS(', count: 10000'))
  const outcome = await ended
  t.is(outcome.code, 0, outcome.stderr)
  const [line] = linesIn(outcome)
  t.like(line, { flow: 'nulls', process: null, processes: [], lost: 0, error: null })
  t.deepEqual(countsIn(line!), { read: [0, 10_000], sink: [10_000, 0] })
  nothingLeft(t, shm)
})

test.serial('run without --json tells a table, and the domain is gone after it', async (t) => {
  const name = `ava-cli-${process.pid}`
  const { code, stdout } = await millrace('flow', 'run', fileOf(t, NULLS(', count: 10')), '--domain', name)
  t.is(code, 0)
  t.regex(
    stdout,
    /^flow nulls: 0 messages lost\nblock +state +in +out .*\nread +stopped +0 +10 .*\nsink +stopped +10 +0 .*\n$/,
  )
  t.is((await millrace('fsck', name)).code, 2)
})

test.serial('run: a process of the flow runs the same command, and tells its part', async (t) => {
  const { ended, shm } = startFlow(t, FAR(`module: '${BLOCKS}', export: scale`, { count: 'count: 3000' }))
  const outcome = await ended
  t.is(outcome.code, 0, outcome.stderr)
  const [far, own] = linesIn(outcome)
  t.is(far!.process, 'cpu')
  t.deepEqual(countsIn(far!), { far: [3000, 3000] })
  t.deepEqual(countsIn(own!), { read: [0, 3000], sink: [3000, 0] })
  t.like(own!.processes[0], { name: 'cpu', phase: 'ended', restarts: 0, lastExit: { code: 0 } })
  nothingLeft(t, shm)
})

test.serial('run: a worker thread of the flow runs the same command, too', async (t) => {
  const text = FAR(`module: '${BLOCKS}', export: scale, worker: true`, { count: 'count: 500' })
  const { ended, shm } = startFlow(t, text.replace(', process: cpu', '').replace(/^processes.*$/m, ''))
  const outcome = await ended
  t.is(outcome.code, 0, outcome.stderr)
  const [far, own] = linesIn(outcome)
  t.deepEqual([far!.process, countsIn(far!)], ['far', { far: [500, 500] }])
  t.deepEqual(countsIn(own!), { read: [0, 500], sink: [500, 0] })
  nothingLeft(t, shm)
})

test.serial('run: a killed process is started again, and its messages are delivered again', async (t) => {
  const { process: tool, ended, shm } = startFlow(t, FAR('class: Copy'))
  await until(() => isThere(shm, 'cpu'))
  const { pid } = shm.registry.snapshot().participants.find(({ name }) => name === 'cpu')!
  process.kill(pid, 'SIGKILL')
  await until(() => shm.registry.snapshot().participants.some((one) => one.name === 'cpu' && one.pid !== pid))
  sendSignal(tool, 'SIGINT')
  const outcome = await ended
  t.is(outcome.code, 0, outcome.stderr)
  const own = linesIn(outcome).at(-1)!
  t.like(own, { lost: 0, error: null })
  t.like(own.processes[0], { name: 'cpu', phase: 'ended', restarts: 1, lastExit: { code: 0 } })
  const { read, sink } = countsIn(own)
  t.true(sink![0] >= read![1], `${sink![0]} of ${read![1]} messages`)
  nothingLeft(t, shm)
})

test.serial('run: what dies with a process is counted, and the exit code tells of it', async (t) => {
  const far = `module: '${BLOCKS}', export: until, settings: { at: 100, then: kill }, batch: 1`
  const { ended, shm } = startFlow(t, FAR(far, { count: 'count: 200', delivery: 'at-most-once' }))
  const outcome = await ended
  t.is(outcome.code, 3, outcome.stderr)
  const own = linesIn(outcome).at(-1)!
  t.like(own, { lost: 1, error: null })
  t.deepEqual(countsIn(own), { read: [0, 200], sink: [199, 0] })
  t.like(own.processes[0], { restarts: 1 })
  nothingLeft(t, shm)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test.serial(`run: the first ${signal} drains`, async (t) => {
    const { process: tool, ended, shm } = startFlow(t, NULLS(''))
    await until(() => isThere(shm, 'scheduler'))
    sendSignal(tool, signal)
    const outcome = await ended
    t.is(outcome.code, 0, outcome.stderr)
    const line = linesIn(outcome)[0]!
    const { read, sink } = countsIn(line)
    t.is(sink![0], read![1])
    t.is(line.lost, 0)
    nothingLeft(t, shm)
  })
}

const STUCK = `
millrace: 1
name: stuck
blocks:
  - { name: read, module: '${BLOCKS}', export: numbers }
  - { name: wait, module: '${BLOCKS}', export: until, settings: { at: 0, then: wait }, batch: 1 }
  - { name: sink, module: '${BLOCKS}', export: collect }
links:
  - { from: read.out, to: wait.in, capacity: 4 }
  - { from: wait.out, to: sink.in }
`

test.serial('run: the second SIGINT ends it at once', async (t) => {
  const { process: tool, ended, shm } = startFlow(t, STUCK)
  await until(() => (shm.stats().queues['stuck.wait.in']?.received ?? 0) > 0)
  sendSignal(tool, 'SIGINT')
  await once(tool.stderr!, 'data')
  sendSignal(tool, 'SIGINT')
  const { signal, stdout, stderr } = await ended
  t.deepEqual([signal, stdout, stderr], ['SIGINT', '', 'stuck: draining; a second SIGINT ends it at once\n'])
})

test.serial('run: a drain that takes longer than --timeout stops, and what is lost is told', async (t) => {
  const { process: tool, ended, shm } = startFlow(t, STUCK, '--timeout', '200')
  await until(() => (shm.stats().queues['stuck.wait.in']?.received ?? 0) > 0)
  sendSignal(tool, 'SIGINT')
  const outcome = await ended
  t.is(outcome.code, 3, outcome.stderr)
  const line = linesIn(outcome)[0]!
  t.is(line.error?.code, 'ERR_MILLRACE_TIMEOUT')
  t.true(line.lost > 0)
  nothingLeft(t, shm)
})

test.serial('run: a block that fails is told, and the exit code is 1', async (t) => {
  const text = NULLS(', count: 100').replace('NullSink', 'VerifySink, settings: { strict: true }')
  const { ended, shm } = startFlow(t, text)
  const outcome = await ended
  t.is(outcome.code, 1, outcome.stderr)
  const [line] = linesIn(outcome)
  t.is(line!.error?.code, 'ERR_MILLRACE_BLOCK_FAILED')
  t.regex(line!.error!.message, /sink/)
  nothingLeft(t, shm)
})

test.serial('run of what is no flow tells all faults, with file and line, and exits with 2', async (t) => {
  const bad = NULLS(', count: 0').replace('to: sink.in', 'to: sunk.in')
  const { code, stdout, stderr } = await millrace('flow', 'run', fileOf(t, bad), '--domain', `ava-cli-${process.pid}`)
  t.deepEqual([code, stdout], [2, ''])
  t.regex(
    stderr,
    /flow "nulls" has 3 faults:\n {2}5:62: settings.count of block "read" .*\n {2}6:5: .*\n {2}8:23: there is no block/,
  )
  for (const nameless of [bad.replace('name: nulls', ''), 'millrace: 1', '5']) {
    const file = fileOf(t, nameless)
    const told = await millrace('flow', 'run', file)
    t.is(told.code, 2)
    t.true(
      told.stderr.startsWith(`${file}:1:1: the flow `) || told.stderr.startsWith(`${file}:2:1: the flow lacks`),
      told.stderr,
    )
  }
})

test('validate tells whether a flow has faults, without running it', async (t) => {
  const good = await millrace('flow', 'validate', fileOf(t, NULLS('')))
  t.deepEqual([good.code, good.stderr], [0, ''])
  t.regex(good.stdout, /flow.yaml: no faults \(2 blocks, 1 link\)\n$/)
  const file = fileOf(t, NULLS(', cuont: 1'))
  const told = await millrace('flow', 'validate', file)
  t.is(told.code, 1)
  t.is(told.stdout, `${file}:5:62: settings of block "read" has no "cuont"; it can have "count", "size"\n`)
  const json = await millrace('flow', 'validate', file, '--json')
  t.is(json.code, 1)
  const { faults } = JSON.parse(json.stdout) as { faults: FlowFault[] }
  t.like(faults, [{ line: 5, column: 62, block: 'read', path: ['blocks', 0, 'settings', 'cuont'] }])
})

test.serial('graph draws a flow, with the counts of a run', async (t) => {
  const text = FAR('class: Copy', { count: 'count: 10' })
  const file = fileOf(t, text)
  const dot = await millrace('flow', 'graph', file, '--format', 'dot')
  t.is(dot.code, 0)
  t.regex(dot.stdout, /^digraph "numbers" \{\n/)
  const run = await startFlow(t, text).ended
  const report = join(file, '..', 'report')
  writeFileSync(report, run.stdout)
  const { code, stdout } = await millrace('flow', 'graph', file, '--report', report)
  t.is(code, 0)
  t.regex(stdout, /^flowchart LR\n/)
  t.regex(stdout, /b1\["far<br\/>Copy<br\/>10 items"\]/)
  const svg = await millrace('flow', 'graph', file, '--format', 'svg', '--report', report)
  t.is(svg.code, 0)
  t.regex(svg.stdout, /^<svg [^]*>10 items<[^]*<\/svg>\n$/)
  const wrong = await millrace('flow', 'graph', file, '--format', 'png')
  t.is(wrong.code, 2)
  t.regex(wrong.stderr, /format must be one of "mermaid", "dot"/)
})
