// How flows of JavaScript blocks end, and that nothing is left.
import { readdirSync, readlinkSync, statSync } from 'node:fs'
import test from 'ava'
import { buffers, bytes, flow, map, NullSink, NullSource, sink, source } from '../../flow.js'
import type { ShmManager } from '../../index.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { count, number } from '../helpers/flow.js'
import { rejectsCode } from '../helpers/errors.js'
import { until } from '../process/children.js'

/** A flow that goes on for ever. */
function endless(shm: ShmManager, use: (batch: number[]) => void | Promise<void> = () => {}) {
  const f = flow('endless', shm, { threads: 1 })
  const from = f.add(source('from', { out: number }, () => count()))
  const stage = f.add(map('stage', number, number, (value) => value))
  const end = f.add(sink('end', number, use))
  f.link(from.out, stage.in).link(stage.out, end.in)
  return { f, from, stage, end }
}

test('drained: all that was sent has arrived', async (t) => {
  const shm = openDomain(t)
  const { f, from, end } = endless(shm)
  const run = await f.start()
  await until(() => end.stats().items > 1000)
  t.is(run.stats().blocks.length, 3)
  const report = await run.drain({ timeout: 20_000 })
  t.deepEqual(report, await run.done)
  t.is(end.stats().items, from.stats().items)
  t.is(buffersInUse(shm), 0)
})

test('stopped: what is lost is counted', async (t) => {
  const shm = openDomain(t)
  const { f, from, end } = endless(shm)
  const run = await f.start()
  await until(() => end.stats().items > 1000)
  const { blocks } = await run.stop()
  const lost = blocks.reduce((sum, block) => sum + block.lost, 0)
  t.true(from.stats().items <= end.stats().items + lost)
  t.deepEqual(
    blocks.map(({ state }) => state),
    ['stopped', 'stopped', 'stopped'],
  )
  t.deepEqual(Object.keys(shm.stats().queues), [])
  t.is(buffersInUse(shm), 0)
})

test('a signal stops it; await using does', async (t) => {
  const shm = openDomain(t)
  const controller = new AbortController()
  const run = await endless(shm).f.start({ signal: controller.signal })
  controller.abort()
  t.is((await run.done).blocks[0]!.state, 'stopped')
  await rejectsCode(t, endless(shm).f.start({ signal: {} as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'signal')
  await t.throwsAsync(endless(shm).f.start({ signal: controller.signal }), { any: true, name: 'AbortError' })
  {
    await using _ = await endless(shm).f.start()
  }
  t.is(buffersInUse(shm), 0)
})

test('await using tells of a failure that nobody has heard of', async (t) => {
  const shm = openDomain(t)
  const start = async () => {
    await using run = await endless(shm, () => Promise.reject(new Error('broken'))).f.start()
    await until(() => run.stats().blocks.every(({ state }) => state !== 'running'))
  }
  await rejectsCode(t, start(), 'ERR_MILLRACE_BLOCK_FAILED', '"end"', 'broken')
})

test('a drain or a stop that takes too long names the block', async (t) => {
  const shm = openDomain(t)
  let release: (() => void) | undefined
  const gate = new Promise<void>((resolve) => (release = resolve))
  let used = false
  const { f } = endless(shm, () => {
    used = true
    return gate
  })
  const run = await f.start()
  await until(() => used)
  await rejectsCode(t, run.stop({ timeout: 20 }), 'ERR_MILLRACE_TIMEOUT', '"end"', '20 ms')
  release!()
  await run.done
  t.is(buffersInUse(shm), 0)

  const g = flow('waits', shm)
  const from = g.add(
    source('from', { out: number }, async function* () {
      yield 1
      await new Promise(() => {})
    }),
  )
  g.link(from.out, g.add(sink('end', number, () => {})).in)
  await rejectsCode(t, (await g.start()).drain({ timeout: 20 }), 'ERR_MILLRACE_TIMEOUT', '"from"', '20 ms')
  t.is(buffersInUse(shm), 0)
})

test('closing the manager ends it', async (t) => {
  const domain = testDomain(t)
  const other = domain.open()
  const shm = domain.open()
  const { f, end } = endless(shm)
  const run = await f.start()
  await until(() => end.stats().items > 0)
  shm.close()
  await rejectsCode(t, run.done, 'ERR_MILLRACE_CLOSED', 'ShmManager')
  t.is(buffersInUse(other), 0)
})

test('two flows of one name: the second says so, and harms nothing', async (t) => {
  const shm = openDomain(t)
  const one = endless(shm)
  await using run = await one.f.start()
  const error = await rejectsCode(t, endless(shm).f.start(), 'ERR_MILLRACE_INVALID_ARGUMENT', 'from.out → stage.in')
  t.true(error.message.includes('"endless.stage.in"'))
  await run.drain()
  t.is(one.end.stats().items, one.from.stats().items)
})

test('100 flows, one after the other: nothing is left', async (t) => {
  t.timeout(60_000)
  const shm = openDomain(t)
  const look = () => [
    descriptors().filter((name) => !name.includes('pidfd')).length,
    readdirSync('/proc/self/task').length,
    buffersInUse(shm),
    Object.keys(shm.stats().queues).length,
    shm.registry.snapshot().participants.length,
  ]
  const once = async (i: number) => {
    const f = flow('short', shm, { threads: 1 })
    const from = f.add(new NullSource({ size: 8, ...(i % 2 === 0 && { count: 100 }) }))
    const copy = f.add(map('copy', bytes, bytes, (value) => value))
    const move = f.add(map('move', buffers, buffers, (value) => value, { concurrency: 4 }))
    const end = f.add(new NullSink())
    f.link(from.out, copy.in, { delivery: 'at-least-once' }).link(copy.out, move.in).link(move.out, end.in)
    const run = await f.start()
    if (i % 4 === 1) await run.stop()
    else if (i % 4 === 3) await run.drain()
    await run.done
    if (i % 2 === 0) t.is(end.stats().items, 100)
  }
  for (let i = 0; i < 8; i++) await once(i)
  const before = look()
  for (let i = 0; i < 100; i++) await once(i)
  const after = look()
  t.true(
    after.every((left, what) => left <= before[what]!),
    `${after.join()} instead of ${before.join()}`,
  )
  // The sentinel watches this process as long as it believes that a scheduler of it takes part.
  t.true(descriptors().filter((name) => name.includes('pidfd')).length <= 1)
})

/** What the descriptors of this process are. */
function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    const link = statSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false }) && readlinkSync(`/proc/self/fd/${fd}`)
    return link === undefined ? [] : [link]
  })
}
