// Nobody has to be there first, or at the same time.
import { once } from 'node:events'
import test from 'ava'
import type { Discarded } from '../../index.js'
import { ShmManager } from '../../index.js'
import type { ConsumeArgs } from '../fixtures/consume.js'
import type { Tally } from '../fixtures/tally.js'
import type { FillArgs } from '../fixtures/fill.js'
import type { ProduceArgs } from '../fixtures/produce.js'
import type { WaitArgs } from '../fixtures/wait.js'
import { buffersInUse, removeLeftovers, testDomain, traceOf } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { startChild } from './children.js'

const count = 500

test.serial('a consumer waits for a queue that nobody has created yet', async (t) => {
  const domain = testDomain(t)
  const args: WaitArgs = { domain: domain.name, queue: 'late', for: 'message' }
  const consumer = await startChild(t, 'wait', args).started()
  const shm = domain.open()
  const queue = shm.portQueue('late', { capacity: 4 })
  const buffer = shm.allocate(10)
  buffer.sequence = 7n
  t.true(queue.trySend(buffer))
  t.is(await consumer.hear(), 7)
})

test.serial('a sender waits for a queue that nobody has created yet', async (t) => {
  const domain = testDomain(t)
  const sender = await startChild(t, 'wait', {
    domain: domain.name,
    queue: 'late',
    for: 'space',
    bytes: 33,
  } satisfies WaitArgs).started()
  const shm = domain.open()
  const queue = shm.portQueue('late', { capacity: 1 })
  t.is(await sender.hear(), 'sent')
  t.is(queue.tryReceive()!.length, 33)
})

test.serial('a producer is gone before the consumer comes, somebody else keeps the domain', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('queue', { capacity: count })
  const shared = { domain: domain.name, queue: 'queue', filled: true }
  await startChild(t, 'produce', { ...shared, producer: 5, count, bytes: 300 } satisfies ProduceArgs).done()
  t.is(queue.depth, count)
  const consumer = await startChild(t, 'consume', shared satisfies ConsumeArgs).started()
  queue.close()
  const { 5: tally } = await consumer.hear<Record<number, Tally>>()
  await consumer.done()
  t.like(tally, { count, last: count - 1, disordered: 0, damaged: 0 })
  t.is(buffersInUse(shm), 0)
})

test.serial('a producer is gone before the consumer comes, the domain persists on its own', async (t) => {
  const name = `ava-${process.pid}-persist`
  t.timeout(30_000)
  const creator = ShmManager.open(name, { persist: true })
  const trace = traceOf(creator)
  t.teardown(() => removeLeftovers(trace))
  creator.portQueue('queue', { capacity: count })
  creator.close()

  const shared = { domain: name, queue: 'queue', filled: true }
  await startChild(t, 'produce', { ...shared, producer: 5, count, bytes: 300 } satisfies ProduceArgs).done()
  const consumer = await startChild(t, 'consume', shared satisfies ConsumeArgs).started()
  using shm = ShmManager.open(name)
  shm.portQueue('queue').close()
  const { 5: tally } = await consumer.hear<Record<number, Tally>>()
  await consumer.done()
  t.like(tally, { count, last: count - 1, disordered: 0, damaged: 0 })
  t.is(buffersInUse(shm), 0)
})

test.serial('the consumer comes when the producer has closed the queue and left', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('queue', { capacity: count })
  const shared = { domain: domain.name, queue: 'queue', filled: true }
  await startChild(t, 'produce', { ...shared, producer: 5, count, bytes: 300 } satisfies ProduceArgs).done()
  queue.close()
  const consumer = await startChild(t, 'consume', shared satisfies ConsumeArgs).started()
  const { 5: tally } = await consumer.hear<Record<number, Tally>>()
  await consumer.done()
  t.like(tally, { count, last: count - 1, disordered: 0, damaged: 0 })
})

test.serial('a topic that nobody publishes to, or subscribes to: who waits for long is told', async (t) => {
  const shm = testDomain(t).open()
  const ending = new AbortController()
  const { signal } = ending
  using subscription = shm.topic('heard').subscribe()
  const warnings: NodeJS.ErrnoException[] = []
  const told = new Promise<void>((resolve) => {
    process.on('warning', function hear(warning) {
      if (warnings.push(warning) < 2) return
      process.off('warning', hear)
      resolve()
    })
  })
  const waits = [subscription.receive({ signal }), shm.topic('told').put(Uint8Array.of(1), { signal })]
  for (const wait of waits) wait.catch(() => {})
  await told
  t.deepEqual(
    warnings.map(({ name, message }) => `${name}: ${message}`),
    [
      'MillraceWarning: no message arrived on the subscription to topic "heard" for 2 s, because nobody has created it: who publishes bytes to it, or names its options, does',
      'MillraceWarning: topic "told" was not created for 2 s, because nobody has created it: who publishes bytes to it while somebody subscribes, or names its options, does',
    ],
  )
  ending.abort()
  await rejectsCode(t, subscription.receive({ timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', 'nobody has created it')
})

test.serial('a queue that nobody creates: who waits for long is told, and so is who gives up', async (t) => {
  const shm = testDomain(t).open()
  const queue = shm.portQueue<unknown>('late')
  const ending = new AbortController()
  const wait = queue.receive({ signal: ending.signal })
  const [warning] = (await once(process, 'warning')) as [NodeJS.ErrnoException]
  t.like(warning, { name: 'MillraceWarning', code: 'MILLRACE_NO_QUEUE' })
  t.regex(warning.message, /^no message arrived on queue "late" .*for 2 s, because nobody has created it/)
  ending.abort()
  await t.throwsAsync(wait, { any: true })
  await rejectsCode(t, queue.receive({ timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', '"late"', 'nobody has created it')
  await rejectsCode(
    t,
    // Bytes would make the queue.
    queue.put({ a: 1 }, { timeout: 1 }),
    'ERR_MILLRACE_TIMEOUT',
    '"late"',
    'nobody has created it',
  )
  shm.portQueue('late', { capacity: 1 })
  const error = await rejectsCode(t, queue.receive({ timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', '"late"')
  t.notRegex(error.message, /nobody/)
})

test.serial('a sender whose queue nobody receives from is told', async (t) => {
  const queue = testDomain(t).open().portQueue('misspelt')
  const ending = new AbortController()
  for (let i = 0; i < 1024; i++) t.true(queue.tryPut(new Uint8Array(1)))
  const wait = queue.put(new Uint8Array(1), { signal: ending.signal })
  const [warning] = (await once(process, 'warning')) as [NodeJS.ErrnoException]
  t.like(warning, { name: 'MillraceWarning', code: 'MILLRACE_NO_CONSUMER' })
  t.regex(warning.message, /^no space came free on queue "misspelt" for 2 s, and nobody receives there/)
  ending.abort()
  await t.throwsAsync(wait, { any: true })
})

test.serial('after Ctrl-C the next run starts afresh, with other options too', async (t) => {
  const domain = testDomain(t)
  const run = async (capacity: number, heard: unknown) => {
    const args: FillArgs = { domain: domain.name, queue: 'frames', capacity }
    const child = startChild(t, 'fill', args)
    t.deepEqual(await child.hear(), heard)
    child.signal('SIGINT')
    t.is((await child.ended).signal, 'SIGINT')
  }
  await run(4, { opened: 'created', discarded: null })
  await run(8, { opened: 'recreated', discarded: { participants: 1, queues: 1, messages: 4, buffers: 4 } })
  const shm = domain.open()
  const [discarded] = (await once(shm, 'recreated')) as [Discarded]
  t.deepEqual(discarded, { participants: 1, queues: 1, messages: 8, buffers: 8 })
  t.deepEqual([shm.opened, shm.discarded], ['recreated', discarded])
  t.is(domain.open().opened, 'attached')
  t.is(shm.portQueue('frames', { capacity: 16 }).depth, 0)
  t.is(buffersInUse(shm), 0)
})
