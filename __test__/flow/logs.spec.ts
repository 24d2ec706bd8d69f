// What the processes of a flow print, as an input of it.
import test from 'ava'
import type { LogLine } from '../../flow.js'
import { flow, logLines, logs, map, sink } from '../../flow.js'
import type { FlowLogsArgs } from '../fixtures/flow-logs.js'
import { openDomain, testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { count } from '../helpers/flow.js'
import { startChild } from '../process/children.js'

interface Ending {
  lines: LogLine[]
  missed: number
  items: number
}

const expected = (who: string) => [...count(1000)].map((value) => `${who} ${value}`)

const INVALID = 'ERR_MILLRACE_INVALID_ARGUMENT'

test.serial(
  'each line of a process and of a worker thread arrives once and in order, then the flow ends',
  async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const args: FlowLogsArgs = { domain: domain.name, count: 1000, holds: false }
    const first = startChild(t, 'flow-logs', args)
    const { lines, missed, items } = await first.hear<Ending>()
    await first.done()
    const of = (from: string, stream: string) =>
      lines.filter((line) => line.from === from && line.stream === stream).map(({ text }) => text)
    t.deepEqual(of('far', 'stdout'), expected('far'))
    t.deepEqual(of('near', 'stderr'), expected('near'))
    t.is(lines.length, 2000)
    t.is(items, 2000)
    t.is(missed, 0)
    t.true(lines.every((line) => line.missed === 0 && Math.abs(line.time - Date.now()) < 60_000))
    t.deepEqual(Object.keys(shm.stats().queues), [])
  },
)

test.serial('lines that nobody takes are missed, and counted', async (t) => {
  const domain = testDomain(t)
  domain.open()
  const args: FlowLogsArgs = { domain: domain.name, count: 10_000, holds: true }
  const first = startChild(t, 'flow-logs', args)
  const { lines, missed, items } = await first.hear<Ending>()
  await first.done()
  t.is(items, lines.length)
  t.is(items + missed, 20_000)
  t.true(missed > 0)
})

test('what would wait for its own end is refused, and a flow that has no other process', async (t) => {
  const shm = openDomain(t)
  const alone = flow('alone', shm)
  const log = alone.add(logs('log'))
  alone.link(log.out, alone.add(sink('keep', logLines, () => {})).in)
  await rejectsCode(t, alone.start(), INVALID, 'block "log"', '"alone" has none')
  const circle = flow('circle', shm)
  const talk = circle.add(logs('talk'))
  const step = circle.add(map('step', logLines, logLines, (line) => line))
  const far = circle.add(
    sink('far', logLines, () => {}),
    { process: 'cpu' },
  )
  circle.link(talk.out, step.in).link(step.out, far.in)
  await rejectsCode(t, circle.start(), INVALID, 'block "far" is in "cpu"', 'block "talk"')
  const moved = flow('moved', shm)
  const other = moved.add(logs('other'), { worker: true })
  moved.link(other.out, moved.add(sink('keep', logLines, () => {})).in)
  await rejectsCode(t, moved.start(), INVALID, 'block "other" is in "other"')
  t.deepEqual(Object.keys(shm.stats().queues), [])
})
