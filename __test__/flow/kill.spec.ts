// `kill -9` in the middle of a flow: what was sent arrives, and every buffer is accounted for.
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import type { Delivery, PortQueue, ShmManager } from '../../index.js'
import type { FlowSinkArgs } from '../fixtures/flow-sink.js'
import type { FlowSourceArgs } from '../fixtures/flow-source.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { type Child, Deaths, startChild, until } from '../process/children.js'

const KILLS = 4

/** Messages that participants called `scheduler` have received. */
function received(shm: ShmManager): number {
  const schedulers = shm.registry.snapshot().participants.filter(({ name }) => name === 'scheduler')
  return schedulers.reduce((sum, one) => sum + one.received, 0)
}

/** Kills it, with its scheduler, and waits until both are recovered. */
async function kill(shm: ShmManager, child: Child): Promise<void> {
  await child.kill()
  await until(() => shm.registry.snapshot().participants.every(({ pid }) => pid !== child.pid))
}

/** The numbers of all messages, until the queue is closed and empty. */
async function numbersIn(queue: PortQueue): Promise<number[]> {
  const numbers: number[] = []
  await queue.consume((message) => void numbers.push(Number(message.sequence)))
  return numbers
}

for (const delivery of ['at-most-once', 'at-least-once'] satisfies Delivery[]) {
  test.serial(`the sink is killed again and again, ${delivery}`, async (t) => {
    t.timeout(60_000)
    const domain = testDomain(t)
    const shm = domain.open()
    const deaths = new Deaths(shm)
    const queue = shm.portQueue('port', { capacity: 64, delivery })
    const shared = { domain: domain.name, queue: 'port', count: null }
    const source = await startChild(t, 'flow-source', shared satisfies FlowSourceArgs).started()
    for (let i = 0; i < KILLS; i++) {
      const sink = startChild(t, 'flow-sink', shared satisfies FlowSinkArgs)
      await until(() => received(shm) > 1000)
      await setTimeout(Math.random() * 20)
      await kill(shm, sink)
    }
    const rest = numbersIn(queue)
    source.say('enough')
    const sent = await source.hear<number>()
    queue.close()
    await source.done()
    const numbers = await rest
    t.is(numbers.at(-1), sent - 1)
    // What the last sink had taken and not acknowledged comes again, first and in order.
    if (delivery === 'at-least-once')
      t.deepEqual(
        numbers,
        numbers.map((_, at) => numbers[0]! + at),
      )
    if (delivery === 'at-least-once') t.is(deaths.lost, 0)
    t.is(buffersInUse(shm), 0)
  })
}

test.serial('the source is killed again and again: what it has sent arrives in order', async (t) => {
  t.timeout(60_000)
  const shm = openDomain(t)
  const queue = shm.portQueue('port', { capacity: 64 })
  const args: FlowSourceArgs = { domain: shm.domain, queue: 'port', count: null }
  for (let i = 0; i < KILLS; i++) {
    const source = startChild(t, 'flow-source', args)
    const numbers: number[] = []
    const take = (message: { sequence: bigint }) => void numbers.push(Number(message.sequence))
    const taking = new AbortController()
    const taken = queue.consume(take, { signal: taking.signal })
    await until(() => numbers.length > 1000)
    await kill(shm, source)
    await until(() => queue.depth === 0)
    taking.abort()
    await taken
    t.deepEqual(
      numbers,
      numbers.map((_, at) => at),
    )
    t.is(buffersInUse(shm), 0)
  }
})
