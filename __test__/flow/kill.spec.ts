// `kill -9` in the middle of a flow: what was sent arrives, and every buffer is accounted for.
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import type { Delivery, PortQueue, ShmManager } from '../../index.js'
import type { FlowCopyArgs } from '../fixtures/flow-copy.js'
import type { FlowSinkArgs } from '../fixtures/flow-sink.js'
import type { FlowSourceArgs } from '../fixtures/flow-source.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { type Child, Deaths, startChild, until } from '../process/children.js'

const KILLS = process.env['MILLRACE_LONG'] === '1' ? 100 : 4
const TIMEOUT = 30_000 + KILLS * 5000

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
    const domain = testDomain(t)
    t.timeout(TIMEOUT)
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
  const shm = openDomain(t)
  t.timeout(TIMEOUT)
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

test.serial(
  'stages between at-least-once queues are killed again and again: every message arrives, repeated at most',
  async (t) => {
    const shm = openDomain(t)
    t.timeout(TIMEOUT)
    const [first, last] = ['first', 'last'].map((name) =>
      shm.portQueue(name, { capacity: 64, delivery: 'at-least-once' }),
    )
    const args: FlowCopyArgs = { domain: shm.domain, from: 'first', to: 'last' }
    const stages = [startChild(t, 'flow-copy', args), startChild(t, 'flow-copy', args)]
    const arrived = numbersIn(last!)
    let sent = 0
    const over = new AbortController()
    const sending = (async () => {
      while (!over.signal.aborted) {
        const message = shm.allocate(64)
        message.sequence = BigInt(sent++)
        await first!.send(message)
      }
    })()
    for (let i = 0; i < KILLS; i++) {
      await stages[0]!.started()
      await setTimeout(Math.random() * 50)
      await kill(shm, stages.shift()!)
      stages.push(startChild(t, 'flow-copy', args))
    }
    over.abort()
    await sending
    first!.close()
    await Promise.all(stages.map((stage) => stage.done()))
    last!.close()
    const numbers = await arrived
    const distinct = new Set(numbers)
    t.is(distinct.size, sent)
    t.true(numbers.every((number) => number < sent))
    // A killed stage has sent again at most what it had not acknowledged.
    t.true(numbers.length - sent <= KILLS * 64, `${numbers.length - sent} were repeated`)
    t.is(buffersInUse(shm), 0)
  },
)
