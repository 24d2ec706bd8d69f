// Replicas of a block in several processes, which are killed.
import { setTimeout } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import type { ChildState } from '../../flow.js'
import { buffers, bytes, flow, map, sink, source, VerifySource } from '../../flow.js'
import type { ShmManager } from '../../index.js'
import type { FlowReplicasArgs, Worked } from '../fixtures/flow-replicas.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { count, nothingLeft, number } from '../helpers/flow.js'
import { type Child, startChild, until } from '../process/children.js'

interface Ending {
  sent: number
  worked: Worked[]
  error: string | null
  processes: Record<string, ChildState>
}

async function startFlow(t: ExecutionContext, options: Partial<FlowReplicasArgs>) {
  t.timeout(60_000)
  const domain = testDomain(t)
  const shm = domain.open()
  const args: FlowReplicasArgs = { domain: domain.name, replicas: 2, keys: 0, max: 100, ...options }
  const first = startChild(t, 'flow-replicas', args)
  const names = Array.from({ length: args.replicas }, (_, at) => `cpu.${at}`)
  t.deepEqual(await first.hear(), names)
  return { shm, first }
}

/** Drains the flow, and looks that nothing is left. */
async function endOf(t: ExecutionContext, shm: ShmManager, first: Child): Promise<Ending> {
  first.say('drain')
  const ending = await first.hear<Ending>()
  await first.done()
  t.deepEqual(Object.keys(shm.stats().queues), [])
  t.is(buffersInUse(shm), 0)
  t.deepEqual(await shm.fsck(), [])
  return ending
}

const pidOf = (shm: ShmManager, name: string) =>
  shm.registry.snapshot().participants.find((one) => one.name === name)?.pid

/** Kills a replica, and waits until the domain knows. */
async function kill(shm: ShmManager, name: string): Promise<void> {
  await until(() => pidOf(shm, name) !== undefined)
  const pid = pidOf(shm, name)!
  await setTimeout(Math.random() * 40)
  process.kill(pid, 'SIGKILL')
  await until(() => pidOf(shm, name) !== pid)
}

const numbersTo = (end: number) => [...count(end)]
const distinct = (worked: readonly Worked[]) =>
  [...new Set(worked.map(({ value }) => value))].toSorted((one, other) => one - other)

test.serial('replicas share what comes: each value once', async (t) => {
  const { shm, first } = await startFlow(t, { replicas: 3 })
  await first.heard('all')
  const { sent, worked, error, processes } = await endOf(t, shm, first)
  t.is(error, null)
  t.is(worked.length, sent)
  t.deepEqual(distinct(worked), numbersTo(sent))
  const ended = { phase: 'ended', restarts: 0, lastExit: { code: 0 } } as const
  t.like(processes, { 'cpu.0': ended, 'cpu.1': ended, 'cpu.2': ended })
})

test.serial('replicas in worker threads: each value once', async (t) => {
  const { shm, first } = await startFlow(t, { worker: true })
  await first.heard('all')
  t.is(new Set(shm.registry.snapshot().participants.map(({ pid }) => pid)).size, 2)
  const { sent, worked, error, processes } = await endOf(t, shm, first)
  t.is(error, null)
  t.is(worked.length, sent)
  t.deepEqual(distinct(worked), numbersTo(sent))
  t.like(processes, { 'cpu.0': { phase: 'ended', lastExit: { code: 0 } }, 'cpu.1': { phase: 'ended' } })
})

test.serial('replicas are killed again and again: nothing is lost', async (t) => {
  const { shm, first } = await startFlow(t, {})
  for (let kills = 0; kills < 6; kills++) await kill(shm, `cpu.${kills % 2}`)
  await first.heard('all')
  const { sent, worked, error, processes } = await endOf(t, shm, first)
  t.is(error, null)
  t.deepEqual(distinct(worked), numbersTo(sent))
  t.true(worked.length - sent <= 6, `${worked.length - sent} came twice`)
  t.like(processes, { 'cpu.0': { phase: 'ended', restarts: 3 }, 'cpu.1': { phase: 'ended', restarts: 3 } })
})

test.serial('a replica that is not restarted: the other one does all, and the run fails by its name', async (t) => {
  const { shm, first } = await startFlow(t, { max: 0 })
  await first.heard('all')
  await kill(shm, 'cpu.1')
  const { sent, worked, error } = await endOf(t, shm, first)
  t.is(error, 'flow "replicas" has lost process "cpu.1" with block "work" (SIGKILL)')
  t.deepEqual(distinct(worked), numbersTo(sent))
  t.true(worked.length - sent <= 1)
})

test.serial('divided by key: all values of a key are worked on by one replica, in order', async (t) => {
  const { shm, first } = await startFlow(t, { replicas: 3, keys: 20 })
  await first.heard('all')
  const { sent, worked, error } = await endOf(t, shm, first)
  t.is(error, null)
  t.is(worked.length, sent)
  for (let key = 0; key < 20; key++) {
    const own = worked.filter(({ value }) => value % 20 === key)
    t.is(new Set(own.map(({ by }) => by)).size, 1)
    t.deepEqual(
      own.map(({ value }) => value),
      numbersTo(own.length).map((at) => at * 20 + key),
    )
  }
})

test.serial('divided by key: values of a dead replica wait for its restart', async (t) => {
  const { shm, first } = await startFlow(t, { keys: 20 })
  for (let kills = 0; kills < 4; kills++) await kill(shm, 'cpu.0')
  await first.heard('all')
  const { sent, worked, error, processes } = await endOf(t, shm, first)
  t.is(error, null)
  t.like(processes, { 'cpu.0': { phase: 'ended', restarts: 4 }, 'cpu.1': { phase: 'ended', restarts: 0 } })
  t.deepEqual(distinct(worked), numbersTo(sent))
  for (let key = 0; key < 20; key++) {
    const own = worked.filter(({ value }) => value % 20 === key)
    t.is(new Set(own.map(({ by }) => by)).size, 1)
    // What had been sent before a death, and was not acknowledged, comes once more.
    const repeats = own.filter(({ value }, at) => at > 0 && value <= own[at - 1]!.value)
    t.true(repeats.length <= 4)
  }
})

test('replicas in one process work at the same time', async (t) => {
  const shm = openDomain(t)
  const f = flow('here', shm)
  const from = f.add(source('from', { out: number }, () => count(3)))
  let waiting = 0
  let release!: () => void
  const all = new Promise<void>((resolve) => (release = resolve))
  const work = f.add(
    map('work', number, number, async (value) => {
      if (++waiting === 3) release()
      await all
      return value
    }),
    { replicas: 3 },
  )
  const got: number[] = []
  const end = f.add(sink('end', number, (batch) => void got.push(...batch)))
  f.link(from.out, work.in).link(work.out, end.in)
  await using run = await f.start()
  const { blocks } = await run.done
  t.deepEqual(
    got.toSorted((one, other) => one - other),
    [0, 1, 2],
  )
  const counted = blocks.filter(({ name }) => name.startsWith('work')).map((block) => [block.name, block.items])
  t.deepEqual(
    counted,
    numbersTo(3).map((at) => [`work.${at}`, 1]),
  )
  t.like(work.stats(), { name: 'work', state: 'stopped', itemsIn: 3, itemsOut: 3, lost: 0 })
  nothingLeft(t, shm)
})

test('divided by key: messages of a native block, without copy', async (t) => {
  const shm = openDomain(t)
  const f = flow('native', shm)
  const from = f.add(new VerifySource({ size: 64, count: 3000 }))
  const seen = new Map<number, number[]>()
  const work = f.add(
    map('work', buffers, bytes, (message) => {
      const sequence = Number(message.sequence)
      seen.set(message.bytes[0]! & 7, [...(seen.get(message.bytes[0]! & 7) ?? []), sequence])
      return new Uint8Array([message.bytes[0]! & 7])
    }),
    { replicas: 4, partitionBy: (value) => value[0]! & 7 },
  )
  let arrived = 0
  const end = f.add(sink('end', bytes, (batch) => void (arrived += batch.length)))
  f.link(from.out, work.in, { capacity: 16 }).link(work.out, end.in)
  await using run = await f.start()
  const { blocks } = await run.done
  t.is(arrived, 3000)
  for (const sequences of seen.values()) {
    t.deepEqual(
      sequences,
      sequences.toSorted((one, other) => one - other),
    )
  }
  const items = blocks.filter(({ name }) => name.startsWith('work.')).map((block) => block.itemsIn)
  t.is(items.filter((one) => one > 0).length > 1, true)
  t.is(work.stats().itemsIn, 3000)
  nothingLeft(t, shm)
})

const noKey = () => ({}) as unknown as string

test('a key that is none fails the sender, by the name of the block', async (t) => {
  const shm = openDomain(t)
  const f = flow('keys', shm)
  const from = f.add(source('from', { out: buffers }, () => [shm.allocate(1), shm.allocate(1)]))
  const end = f.add(
    sink('end', buffers, () => {}),
    { replicas: 2, partitionBy: noKey },
  )
  f.link(from.out, end.in)
  const run = await f.start()
  await rejectsCode(t, run.done, 'ERR_MILLRACE_BLOCK_FAILED', 'block "from"', 'partitionBy of block "end"')
  nothingLeft(t, shm)
})
