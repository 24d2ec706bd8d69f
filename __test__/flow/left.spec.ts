// What a flow has left in its queues whose only process was killed, while others are in the domain: the next one goes on with it.
import test, { type ExecutionContext } from 'ava'
import { flow, sink, source } from '../../flow.js'
import type { Delivery, ShmManager } from '../../index.js'
import type { FlowLeftArgs } from '../fixtures/flow-left.js'
import { testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { count, nothingLeft, number } from '../helpers/flow.js'
import { type Child, startChild, until } from '../process/children.js'

const QUEUE = 'left.end.in'

/** A flow that has sent 100 values, whose sink has taken one. */
async function startLeft(t: ExecutionContext, options: Pick<FlowLeftArgs, 'delivery' | 'ends'>) {
  const domain = testDomain(t)
  const shm = domain.open()
  const first = startChild(t, 'flow-left', { domain: domain.name, ...options } satisfies FlowLeftArgs)
  await until(() => {
    const stats = shm.stats().queues[QUEUE]
    return stats?.sent === 100 && stats.received === 1 && stats.closed === options.ends
  })
  return { shm, first }
}

async function kill(shm: ShmManager, first: Child): Promise<void> {
  await first.kill()
  await until(() => shm.registry.snapshot().participants.every(({ pid }) => pid !== first.pid))
}

/** The same flow, with a source of `to` values and a sink that takes them. */
function again(shm: ShmManager, delivery: Delivery, to: number, capacity = 128) {
  const f = flow('left', shm)
  const got: number[] = []
  const from = f.add(source('from', { out: number }, () => count(to)))
  const end = f.add(sink('end', number, (batch) => void got.push(...batch)))
  f.link(from.out, end.in, { capacity, delivery })
  return { f, got }
}

for (const delivery of ['at-least-once', 'at-most-once'] satisfies Delivery[]) {
  for (const ends of [false, true]) {
    test(`the next one takes what is left, ${delivery}, ${ends ? 'closed' : 'open'}`, async (t) => {
      const { shm, first } = await startLeft(t, { delivery, ends })
      await kill(shm, first)
      const { f, got } = again(shm, delivery, 3)
      await using run = await f.start()
      await run.done
      const left = [...count(100)].slice(delivery === 'at-least-once' ? 0 : 1)
      t.deepEqual(got, [...left, 0, 1, 2])
      nothingLeft(t, shm)
    })
  }
}

test('not while the other one runs, and not what it has no room for; a start that fails leaves it', async (t) => {
  const { shm, first } = await startLeft(t, { delivery: 'at-least-once', ends: true })
  const running = again(shm, 'at-least-once', 0)
  await rejectsCode(t, running.f.start(), 'ERR_MILLRACE_INVALID_ARGUMENT', `"${QUEUE}"`, '1 participants have it open')
  await kill(shm, first)
  const small = again(shm, 'at-least-once', 0, 16)
  await rejectsCode(t, small.f.start(), 'ERR_MILLRACE_INVALID_ARGUMENT', 'has 100 messages', 'capacity of 16')
  const failing = again(shm, 'at-least-once', 0)
  const other = shm.portQueue('left.other.in', {})
  const more = failing.f.add(source('more', { out: number }, () => []))
  failing.f.link(more.out, failing.f.add(sink('other', number, () => {})).in)
  await rejectsCode(t, failing.f.start(), 'ERR_MILLRACE_INVALID_ARGUMENT', '"left.other.in"')
  other.destroy()
  const { f, got } = again(shm, 'at-least-once', 0)
  await using run = await f.start()
  await run.done
  t.deepEqual(got, [...count(100)])
  nothingLeft(t, shm)
})
