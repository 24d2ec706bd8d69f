// Blocks that do not return from their work: they are told of, and nobody waits for them for ever.
import { execFileSync } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { Stall } from '../../flow.js'
import { FileSource, flow, map, NullSink, Scheduler, sink, source } from '../../flow.js'
import type { FlowProcessesArgs } from '../fixtures/flow-processes.js'
import { openDomain, testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { count, nothingLeft, number } from '../helpers/flow.js'
import { startChild, until } from '../process/children.js'

const STALLED = 'ERR_MILLRACE_STALLED'

test('a block of JavaScript: told once, and neither drain nor stop waits for it', async (t) => {
  const shm = openDomain(t)
  const f = flow('hangs', shm, { stallTimeout: 50 })
  const held = new EventEmitter()
  const from = f.add(source('from', { out: number }, () => count(1000)))
  const stuck = f.add(
    map('stuck', number, number, async (value) => (value === 5 ? (await once(held, 'release'), value) : value)),
  )
  const end = f.add(sink('end', number, () => {}))
  f.link(from.out, stuck.in).link(stuck.out, end.in)
  const run = await f.start()
  const stalls: Stall[] = []
  run.on('stalled', (stall) => stalls.push(stall))
  const [{ block, working }] = (await once(run, 'stalled')) as [Stall]
  t.is(block, 'stuck')
  t.true(working > 50)
  await rejectsCode(t, run.drain(), STALLED, 'flow "hangs"', 'block "stuck" has not returned from its work for ')
  await rejectsCode(t, run.stop(), STALLED, 'flow "hangs"', 'block "stuck"')
  t.is(stalls.length, 1)
  held.emit('release')
  await run.done
  t.is(stuck.stats().itemsIn + stuck.stats().lost, 1000 - from.stats().lost - from.stats().undelivered)
  nothingLeft(t, shm)
})

test('values that each take their time are no stall, and a source may wait until it is to end', async (t) => {
  const shm = openDomain(t)
  const f = flow('slow', shm, { stallTimeout: 1000 })
  const from = f.add(
    source('from', { out: number }, async function* () {
      yield* count(60)
      await new Promise(() => {})
    }),
  )
  const slow = f.add(
    map('slow', number, number, (value) => new Promise<number>((resolve) => setTimeout(resolve, 25, value))),
  )
  const end = f.add(sink('end', number, () => {}))
  f.link(from.out, slow.in).link(slow.out, end.in)
  const run = await f.start()
  const stalls: Stall[] = []
  run.on('stalled', (stall) => stalls.push(stall))
  await until(() => end.stats().items === 60)
  t.deepEqual(stalls, [])
  await rejectsCode(t, run.drain(), STALLED, 'block "from"')
  await run.done
  t.deepEqual(
    stalls.map(({ block }) => block),
    ['from'],
  )
  nothingLeft(t, shm)
})

test('a native block, in a scheduler and in a flow', async (t) => {
  const shm = openDomain(t)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-flow-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  const options = { policy: 'thread-per-block', stallTimeout: 50 } as const
  const scheduler = new Scheduler(shm, options)
  const f = flow('native', shm, options)
  // It waits in open() for somebody to write.
  const waiting = () => new FileSource({ path: pipe, size: 8 })
  scheduler.link(scheduler.add(waiting(), { name: 'from' }).out, scheduler.add(new NullSink()).in)
  f.link(f.add(waiting(), { name: 'from' }).out, f.add(new NullSink()).in)
  const ended = scheduler.run()
  const run = await f.start()
  const told = [scheduler, run].map((host) => [host, once(host, 'stalled')] as const)
  for (const [host, stalled] of told) {
    const [{ block, working }] = (await stalled) as [Stall]
    t.is(block, 'from')
    t.true(working > 50)
    await rejectsCode(t, host.drain(), STALLED, 'block "from" has not returned from its work for ')
    await rejectsCode(t, host.stop(), STALLED, 'block "from"')
  }
  await (await open(pipe, 'w')).close()
  await ended
  await run.done
  nothingLeft(t, shm)
})

test.serial('a process of which a block does not return is killed, as one whose event loop hangs', async (t) => {
  const domain = testDomain(t)
  domain.open()
  const args: FlowProcessesArgs = { domain: domain.name, count: 200, at100: 'hang', stallTimeout: 500 }
  const first = startChild(t, 'flow-processes', args)
  await first.hear()
  const { error } = await first.hear<{ error: string }>()
  await first.done()
  t.is(error, 'flow "numbers" has lost process "double" with block "double" (killed by its stallTimeout)')
})
