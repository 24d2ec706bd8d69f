import { once } from 'node:events'
import test from 'ava'
import { type BufferPtr, MillraceError, type Overflow, type ShmManager, type Subscription } from '../../index.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { testMapped } from '../helpers/mapped.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

/** A buffer with a number in it. */
function numbered(shm: ShmManager, sequence: number): BufferPtr {
  const buffer = shm.allocate(8)
  buffer.sequence = BigInt(sequence)
  buffer.as(Float64Array)[0] = sequence
  return buffer
}

/** The numbers of all messages that are there now. */
function drain(subscription: Subscription<never>): number[] {
  return subscription.receiveMany(1000).map((message) => {
    const [number] = message.as(Float64Array)
    message.release()
    return number!
  })
}

const upTo = (end: number, from = 0) => Array.from({ length: end - from }, (_, i) => from + i)

test('every subscriber gets every message, in one buffer', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<never>('topic', {})
  const subscriptions = [topic.subscribe(), topic.subscribe(), topic.subscribe()]
  for (let i = 0; i < 10; i++) {
    const buffer = numbered(shm, i)
    t.deepEqual(await topic.publish(buffer), { delivered: 3, dropped: 0, blocked: [] })
    t.true(buffer.released)
  }
  t.is(buffersInUse(shm), 10)
  for (const subscription of subscriptions) t.deepEqual(drain(subscription), upTo(10))
  t.is(buffersInUse(shm), 0)
  t.deepEqual(topic.tryPublish(numbered(shm, 10)), { delivered: 3, dropped: 0, blocked: [] })
  for (const subscription of subscriptions) subscription.close()
  t.deepEqual(topic.tryPublish(numbered(shm, 11)), { delivered: 0, dropped: 0, blocked: [] })
  t.is(buffersInUse(shm), 0)
})

test('who subscribes late gets the history, then everything', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<never>('topic', { history: 4 })
  await topic.publishMany(upTo(600).map((i) => numbered(shm, i)))
  using late = topic.subscribe()
  await topic.publishMany(upTo(605, 600).map((i) => numbered(shm, i)))
  t.deepEqual(drain(late), upTo(605, 596))
  t.is(buffersInUse(shm), 4)
})

for (const [first, options] of [
  ['the publisher', undefined],
  ['the subscriber', undefined],
  ['the publisher', { history: 2 }],
  ['the subscriber', { history: 2 }],
] as const) {
  const whose = options === undefined ? 'with options nowhere' : 'with options of the subscriber'
  test(`start order does not matter: ${first} first, ${whose}`, async (t) => {
    const domain = testDomain(t)
    const [publisher, subscriber] = [domain.open(), domain.open()]
    const publish = () => {
      const topic = publisher.topic('topic')
      return [topic.put(Uint8Array.of(1)), topic.publish(numbered(publisher, 2)), topic.putMany([Uint8Array.of(3)])]
    }
    const early = first === 'the publisher' ? publish() : []
    const buffer = publisher.allocate(1)
    t.is(publisher.topic('topic').tryPut(Uint8Array.of(0)), null)
    t.is(publisher.topic('topic').tryPublish(buffer), null)
    buffer.release()
    using subscription = subscriber.topic<never>('topic', options).subscribe()
    const published = first === 'the publisher' ? early : publish()
    for (const one of await Promise.all(published)) t.deepEqual(one, { delivered: 1, dropped: 0, blocked: [] })
    const messages = [await subscription.receive(), ...subscription.receiveMany(9)]
    t.is(messages.length, 3)
    for (const message of messages) message.release()
    t.is(publisher.topic('topic').info?.history, options?.history ?? 0)
    t.deepEqual(publisher.topic('topic').tryPut(Uint8Array.of(4)), { delivered: 1, dropped: 0, blocked: [] })
  })
}

test('values of a topic that nobody has named a codec for wait for that, whoever subscribes', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<{ n: number }>('topic')
  using subscription = topic.subscribe()
  t.is(topic.tryPut({ n: 0 }), null)
  await rejectsCode(t, topic.put({ n: 1 }, { timeout: 10 }), 'ERR_MILLRACE_TIMEOUT', 'topic "topic" was not created')
  const put = topic.put({ n: 2 })
  shm.topic('topic', { codec: 'json' })
  t.deepEqual(await put, { delivered: 1, dropped: 0, blocked: [] })
  t.deepEqual(await subscription.get(), { n: 2 })
})

test('a topic that is destroyed ends the waits of those who publish', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic('topic', {})
  topic.destroy()
  await rejectsCode(t, topic.put(Uint8Array.of(1)), 'ERR_MILLRACE_DESTROYED')
})

test('start order does not matter', async (t) => {
  const domain = testDomain(t)
  const [publisher, subscriber] = [domain.open(), domain.open()]
  const early = publisher.topic<number>('topic')
  t.is(early.info, null)
  const buffer = publisher.allocate(1)
  t.is(early.tryPublish(buffer), null)
  buffer.release()
  await rejectsCode(t, early.put(1, { timeout: 10 }), 'ERR_MILLRACE_TIMEOUT', 'topic "topic" was not created')
  const published = early.put(7)
  using subscription = subscriber.topic<number>('topic').subscribe()
  const received = subscription.get()
  t.is(subscription.info, null, 'its codec is not known yet')
  t.false(subscriber.stats().topics['topic']!.exists)
  subscriber.topic('topic', { codec: 'json', history: 1 })
  t.deepEqual(await published, { delivered: 1, dropped: 0, blocked: [] })
  t.is(await received, 7)
  t.like(early.info, { name: 'topic', codec: 'json', history: 1, typeId: 0, closed: false })
  t.like(subscription.info, { codec: 'json', capacity: 1024, overflow: 'block' })
})

test('options that differ are errors that name both', (t) => {
  const shm = openDomain(t)
  const topic = shm.topic('topic', { history: 10, codec: 'json', typeId: 3 })
  const code = 'ERR_MILLRACE_OPTIONS_MISMATCH'
  shm.topic('topic', { history: 16 })
  throwsCode(t, () => shm.topic('topic', { history: 17 }), code, '16', '17')
  throwsCode(t, () => shm.topic('topic', { codec: 'v8' }), code, 'json', 'v8')
  throwsCode(t, () => shm.topic('topic', { typeId: 4 }), code, '3', '4')
  using named = topic.subscribe({ name: 'log', capacity: 8 })
  throwsCode(t, () => topic.subscribe({ name: 'log', capacity: 16 }), code, '8', '16')
  const invalid = 'ERR_MILLRACE_INVALID_ARGUMENT'
  throwsCode(t, () => shm.topic('topic', { history: -1 }), invalid, 'history', '-1')
  throwsCode(t, () => topic.subscribe({ overflow: 'sometimes' as Overflow }), invalid, 'sometimes')
  throwsCode(t, () => topic.subscribe({ maxDeliveries: 2, delivery: 'at-least-once' }), invalid, 'maxDeliveries')
  throwsCode(t, () => topic.subscribe(5 as never), invalid, 'options')
  throwsCode(t, () => topic.subscribe({ name: 'x'.repeat(32) }), 'ERR_MILLRACE_INVALID_NAME', '31')
  throwsCode(t, () => shm.topic('a b'), 'ERR_MILLRACE_INVALID_NAME', 'topic', 'a b')
  t.true(topic.unsubscribe('log'))
  t.false(topic.unsubscribe('log'))
  throwsCode(t, () => named.tryReceive(), 'ERR_MILLRACE_DESTROYED', 'subscription "log" to topic "topic"')
})

test('values go through the codec of the topic', async (t) => {
  const domain = testDomain(t)
  const [here, there] = [domain.open(), domain.open()]
  const topic = here.topic<{ n: number }>('topic', { codec: 'v8' })
  using subscription = there.topic<{ n: number }>('topic').subscribe()
  await topic.put({ n: 1 })
  await topic.putMany(upTo(300).map((n) => ({ n })))
  t.deepEqual(topic.tryPut({ n: 301 }), { delivered: 1, dropped: 0, blocked: [] })
  t.deepEqual(await subscription.get(), { n: 1 })
  t.deepEqual(
    subscription.getMany(300),
    upTo(300).map((n) => ({ n })),
  )
  t.deepEqual(subscription.tryGet(), { n: 301 })
  t.is(subscription.tryGet(), undefined)
  t.deepEqual(await topic.putMany([]), { delivered: 0, dropped: 0, blocked: [] })
  t.is(buffersInUse(here), 0)
})

test('a subscription is iterated, consumed and streamed like a queue; the end of the topic ends it', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<number>('topic', { codec: 'json' })
  const iterated: number[] = []
  const consumed: number[] = []
  const batched: number[] = []
  const streamed: number[] = []
  const [a, b, c, d] = [topic.subscribe(), topic.subscribe(), topic.subscribe(), topic.subscribe()]
  const all = Promise.all([
    (async () => {
      for await (using message of a) iterated.push(message.json())
    })(),
    b.consume((message) => void consumed.push(message.json())),
    (async () => {
      for await (const batch of c.batches()) for (const message of batch) batched.push(message.json())
    })(),
    (async () => {
      for await (const value of d.readable()) streamed.push(value as number)
    })(),
  ])
  for (const n of upTo(500)) await topic.put(n)
  topic.close()
  await all
  for (const got of [iterated, consumed, batched, streamed]) t.deepEqual(got, upTo(500))
  await rejectsCode(t, a.receive(), 'ERR_MILLRACE_CLOSED')
  await rejectsCode(t, topic.put(1), 'ERR_MILLRACE_CLOSED', 'topic "topic"')
  t.is(topic.tryPut(1), null)
  for (const subscription of [a, b, c, d]) subscription.close()
  t.is(buffersInUse(shm), 0)
})

test('closing a subscription ends who waits at it, and releases what is left', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<number>('topic', { codec: 'json' })
  const subscription = topic.subscribe()
  const waiting = subscription.receive()
  const looping = (async () => {
    for await (const message of topic.subscribe()) t.fail(`message ${message.text()}`)
  })()
  const loop = shm.stats().topics['topic']!.subscriptions.length
  t.is(loop, 2)
  subscription.close()
  subscription.close()
  await rejectsCode(t, waiting, 'ERR_MILLRACE_CLOSED')
  t.is(subscription.tryReceive(), null)
  topic.close()
  await looping
  const other = shm.topic<number>('other', { codec: 'json' })
  const full = other.subscribe()
  await other.putMany(upTo(5))
  const kept = full.tryReceive()!
  t.is(buffersInUse(shm), 5)
  full.close()
  t.is(kept.json(), 0, 'what was received stays')
  t.is(buffersInUse(shm), 1)
  kept.release()
  t.is(buffersInUse(shm), 0)
})

test('a full subscriber is treated by its own policy, and told what it missed', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<never>('topic', {})
  const kept: Record<string, [number[], number]> = {
    'drop-oldest': [[6, 7, 8, 9], 6],
    'drop-newest': [[0, 1, 2, 3], 6],
    reject: [[0, 1, 2, 3], 6],
    latest: [[9], 9],
  }
  const open = Object.keys(kept).map((overflow) => topic.subscribe({ capacity: 4, overflow: overflow as Overflow }))
  const total = await topic.publishMany(upTo(10).map((i) => numbered(shm, i)))
  t.deepEqual(total, { delivered: 28, dropped: 12, blocked: [] })
  for (const [at, [numbers, gap]] of Object.values(kept).entries()) {
    const first = open[at]!.tryReceive()!
    t.is(first.gap, gap)
    t.deepEqual([first.as(Float64Array)[0], ...drain(open[at]!)], numbers)
    first.release()
  }
  t.is(buffersInUse(shm), 0)
  for (const subscription of open) subscription.close()
})

test('a publisher waits for who blocks, and for nobody else', async (t) => {
  const domain = testDomain(t)
  const [shm, slow] = [domain.open(), domain.open({ name: 'slow one' })]
  const topic = shm.topic<never>('topic', {})
  using quick = topic.subscribe()
  using blocking = slow.topic<never>('topic').subscribe({ capacity: 2, name: 'log' })
  await topic.publishMany([numbered(shm, 0), numbered(shm, 1)])
  const [third, fourth] = [topic.publish(numbered(shm, 2)), topic.publish(numbered(shm, 3))]
  t.deepEqual(drain(quick), upTo(4), 'everybody else has them already')
  const passed = topic.tryPublish(numbered(shm, 4))!
  const log = { name: 'log', participant: slow.participant, pid: process.pid, process: 'slow one' }
  t.deepEqual(passed, { delivered: 1, dropped: 0, blocked: [log] })
  const fifth = numbered(shm, 5)
  const error = await t.throwsAsync(topic.publish(fifth, { timeout: 5 }), { instanceOf: MillraceError })
  t.is(error.code, 'ERR_MILLRACE_TIMEOUT')
  for (const word of ['topic "topic"', 'full is subscription "log"', '"slow one"', `${process.pid}`]) {
    t.true(error.message.includes(word), error.message)
  }
  t.deepEqual(error.cause, [log])
  t.false(fifth.released)
  fifth.release()
  const abort = new AbortController()
  const aborted = topic.publish(numbered(shm, 6), { signal: abort.signal })
  abort.abort(new Error('no longer'))
  await t.throwsAsync(aborted, { message: 'no longer' })
  t.deepEqual(drain(quick), [4, 5, 6])
  const received: [number, number][] = []
  for (let i = 0; i < 4; i++) {
    using message = await blocking.receive()
    received.push([message.as(Float64Array)[0]!, message.gap])
  }
  t.deepEqual(
    received.map(([number]) => number),
    upTo(4),
    'in order',
  )
  t.is(received.reduce((sum, [, gap]) => sum + gap, 0) + (blocking.info?.depth ?? 0), 3, 'it is told of the three')
  t.deepEqual(await Promise.all([third, fourth]), [
    { delivered: 2, dropped: 0, blocked: [log] },
    { delivered: 2, dropped: 0, blocked: [log] },
  ])
  t.true(topic.unsubscribe('log'))
})

test('a blocking subscriber that ends lets publishers go on', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<never>('topic', {})
  using quick = topic.subscribe()
  const blocking = topic.subscribe({ capacity: 1 })
  await topic.publish(numbered(shm, 0))
  const waiting = topic.publish(numbered(shm, 1))
  blocking.close()
  t.is((await waiting).blocked.length, 1)
  t.deepEqual(drain(quick), [0, 1])
  t.deepEqual(await topic.publish(numbered(shm, 2)), { delivered: 1, dropped: 0, blocked: [] })
  t.deepEqual(drain(quick), [2])
  t.is(buffersInUse(shm), 0)
})

test('a named subscription collects while nobody is there, and is shared', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const topic = shm.topic<number>('topic', { codec: 'json' })
  const first = domain.open()
  const gone = first.topic<number>('topic').subscribe({ name: 'log' })
  await topic.put(0)
  t.is(await gone.get(), 0)
  gone.close()
  await topic.put(1)
  first.close()
  await topic.putMany([2, 3])
  const [a, b] = [domain.open(), domain.open()].map((m) => m.topic<number>('topic').subscribe({ name: 'log' }))
  t.deepEqual([await a!.get(), await b!.get(), await a!.get()], [1, 2, 3])
  t.is(a!.subscription, 'log')
  t.is(shm.stats().topics['topic']!.subscriptions.length, 1)
  t.true(topic.unsubscribe('log'))
  await rejectsCode(t, a!.get(), 'ERR_MILLRACE_DESTROYED')
})

test('at-least-once: what a subscriber gives back comes again, and then goes to the dead letters', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<number>('topic', { codec: 'json', history: 1 })
  await topic.put(1)
  const subscription = topic.subscribe({ name: 'sure', delivery: 'at-least-once', maxDeliveries: 2 })
  for (const attempt of [1, 2]) {
    const message = subscription.tryReceive()!
    t.deepEqual([message.json(), message.attempt, message.redelivered], [1, attempt, attempt > 1])
    message.nack()
  }
  t.is(subscription.tryReceive(), null)
  t.is(await shm.portQueue<number>('topic.sure.dead').get(), 1)
  topic.destroy()
})

test('a received message is published on without a copy; a leased one is acknowledged', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', { delivery: 'at-least-once' })
  const topic = shm.topic('topic', {})
  using first = topic.subscribe()
  using second = topic.subscribe({ capacity: 1 })
  await queue.put(new Uint8Array([1]))
  await queue.put(new Uint8Array([2]))
  await topic.publish(await queue.receive())
  const waiting = topic.publish(await queue.receive())
  t.is(queue.info!.depth, 0)
  t.is(buffersInUse(shm), 2)
  t.is(shm.stats().queues['queue']!.leased, 1, 'it is acknowledged when everybody has it')
  t.deepEqual(await second.get(), new Uint8Array([1]))
  await waiting
  t.is(shm.stats().queues['queue']!.leased, 0)
  t.deepEqual(await second.get(), new Uint8Array([2]))
  t.deepEqual(first.getMany(2), [new Uint8Array([1]), new Uint8Array([2])])
  t.is(buffersInUse(shm), 0)
})

test('destroying a topic ends everybody', async (t) => {
  const domain = testDomain(t)
  const [shm, other] = [domain.open(), domain.open()]
  const topic = shm.topic<number>('topic', { codec: 'json', history: 4 })
  const subscription = other.topic<number>('topic').subscribe({ capacity: 1 })
  await topic.put(1)
  const publishing = topic.put(2)
  const receiving = other
    .topic<number>('topic')
    .subscribe()
    .consume(() => {})
  other.topic<number>('topic').destroy()
  await publishing
  await rejectsCode(t, receiving, 'ERR_MILLRACE_DESTROYED')
  await rejectsCode(t, subscription.receive(), 'ERR_MILLRACE_DESTROYED')
  await rejectsCode(t, topic.put(3), 'ERR_MILLRACE_DESTROYED', 'topic "topic"')
  t.is(topic.info, null)
  t.is(buffersInUse(shm), 0)
  t.like(shm.topic('topic', { history: 1 }).info, { history: 1, closed: false })
})

test('the snapshot shows topics and who subscribes', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<number>('topic', { codec: 'json', history: 2, typeId: 9 })
  using a = topic.subscribe({ capacity: 4, overflow: 'drop-oldest' })
  using b = topic.subscribe({ name: 'log', delivery: 'at-least-once' })
  await topic.putMany(upTo(6))
  t.is(b.tryReceive()!.json(), 0)
  const [snapshot] = shm.registry.snapshot().topics
  t.like(snapshot, { name: 'topic', exists: true, history: 2, kept: 2, typeId: 9, codec: 'json', closed: false })
  t.like(snapshot, { published: 6, attached: 1 })
  const [first, second] = snapshot!.subscriptions
  t.like(first, { name: '', participant: shm.participant, overflow: 'drop-oldest', depth: 4, dropped: 2, sent: 6 })
  t.like(second, { name: 'log', delivery: 'at-least-once', depth: 5, leased: 1, codec: 'json' })
  t.is(a.depth, 4)
  t.deepEqual(Object.keys(shm.stats().queues), [], 'subscriptions are no queues of their own')
  t.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot)
  topic.destroy()
})

test('a hundred subscribers', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<never>('topic', { history: 1 })
  const all = upTo(100).map(() => topic.subscribe({ capacity: 64 }))
  const total = await topic.publishMany(upTo(50).map((i) => numbered(shm, i)))
  t.deepEqual(total, { delivered: 5000, dropped: 0, blocked: [] })
  t.is(buffersInUse(shm), 50)
  for (const subscription of all) t.deepEqual(drain(subscription), upTo(50))
  t.is(buffersInUse(shm), 1)
  for (const subscription of all) subscription.close()
  topic.destroy()
  t.is(buffersInUse(shm), 0)
})

testMapped('guard mode: every subscriber has a view of its own', async (t) => {
  const shm = openDomain(t, { guard: true })
  const topic = shm.topic<never>('topic', {})
  using a = topic.subscribe()
  using b = topic.subscribe()
  await topic.publish(numbered(shm, 5))
  const [first, second] = [a.tryReceive()!, b.tryReceive()!]
  const view = first.bytes
  first.release()
  t.is(view.length, 0)
  t.is(second.as(Float64Array)[0], 5)
  second.release()
})

test('a publisher that waits for a second for a subscriber says for whom: an event each time, a warning once', async (t) => {
  const domain = testDomain(t)
  const [shm, slow] = [domain.open(), domain.open({ name: 'slow one' })]
  const topic = shm.topic<never>('topic', {})
  using blocking = slow.topic<never>('topic').subscribe({ capacity: 1, name: 'log' })
  const warnings: string[] = []
  const warned = (warning: Error & { code?: string }) => {
    // Those of tests beside this one are told here, too.
    if (warning.code === 'MILLRACE_BLOCKED' && warning.message.includes(`"${domain.name}"`))
      warnings.push(warning.message)
  }
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  await topic.publish(numbered(shm, 0))
  for (let i = 1; i < 3; i++) {
    const told = once(shm, 'publisher-blocked')
    const publishing = topic.publish(numbered(shm, i))
    t.deepEqual(await told, [
      { topic: 'topic', name: 'log', participant: slow.participant, pid: process.pid, process: 'slow one' },
    ])
    blocking.tryReceive()!.release()
    await publishing
  }
  t.deepEqual(warnings, [
    `a publisher of topic "topic" of domain "${shm.domain}" has waited for a second: full is subscription "log" of participant ` +
      `${slow.participant} ("slow one", process ${process.pid}); let it receive, or subscribe with another overflow policy, such as ` +
      '"latest" or "drop-oldest"',
  ])
})

test('a subscription has values and a web stream', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic<number>('numbers', { codec: 'json' })
  using values = topic.subscribe()
  using streamed: Subscription<number> = topic.subscribe()
  await topic.putMany([1, 2, 3])
  topic.close()
  const seen: number[] = []
  for await (const value of values.values()) seen.push(value)
  for await (const value of streamed.toWeb().readable) seen.push(value)
  t.deepEqual(seen, [1, 2, 3, 1, 2, 3])
})
