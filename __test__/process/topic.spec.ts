// Topics between processes: whoever joins, leaves, is slow, stops or dies, everybody else gets everything once.
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import { MillraceError, type Overflow, type ShmManager, type SubscribeOptions, type TopicOptions } from '../../index.js'
import type { PublishArgs } from '../fixtures/publish.js'
import type { Run, SubscribeArgs } from '../fixtures/subscribe.js'
import { buffersInUse, type TestDomain, testDomain } from '../helpers/domain.js'
import { type Child, Deaths, startChild, until } from './children.js'

function openTopic(t: ExecutionContext, options: TopicOptions<Uint8Array>) {
  const domain = testDomain(t)
  t.timeout(120_000)
  const shm = domain.open()
  return { domain, shm, topic: shm.topic('topic', options), deaths: new Deaths(shm) }
}

function startPublisher(t: ExecutionContext, { name: domain }: TestDomain, producer: number): Promise<Child> {
  return startChild(t, 'publish', { domain, topic: 'topic', producer } satisfies PublishArgs).started()
}

function startSubscriber(
  t: ExecutionContext,
  { name: domain }: TestDomain,
  args: Omit<SubscribeArgs, 'domain' | 'topic'> = {},
): Promise<Child> {
  return startChild(t, 'subscribe', { domain, topic: 'topic', ...args } satisfies SubscribeArgs).started()
}

/** Ends a publisher. Returns how many messages it has published. */
async function stop(publisher: Child): Promise<number> {
  publisher.say('stop')
  const { published } = await publisher.hear<{ published: number }>()
  await publisher.done()
  return published
}

/** What a subscriber got, once the topic is closed. */
async function results(subscriber: Child): Promise<Run[][]> {
  const runs = await subscriber.hear<Run[][]>()
  await subscriber.done()
  return runs
}

function publishedBy(shm: ShmManager): number {
  return shm.stats().topics['topic']!.published
}

/** Resolves when `count` more messages have been published. */
async function more(shm: ShmManager, count: number): Promise<void> {
  const end = publishedBy(shm) + count
  await until(() => publishedBy(shm) >= end)
}

/** Everything from some message on, once and in order. */
function isWhole(t: ExecutionContext, run: Run): void {
  t.like(run, { disordered: 0, missing: 0, gap: 0 })
  t.is(run.count, run.last - run.first + 1)
}

test.serial('who joins under load gets the history, and then everything exactly once', async (t) => {
  const { domain, shm, topic } = openTopic(t, { history: 64 })
  const publishers = [await startPublisher(t, domain, 0), await startPublisher(t, domain, 1)]
  const subscribers: Child[] = []
  for (let i = 0; i < 6; i++) {
    await more(shm, 500)
    subscribers.push(await startSubscriber(t, domain))
  }
  await more(shm, 1000)
  const published = await Promise.all(publishers.map(stop))
  topic.close()
  let joined = -1
  for (const subscriber of subscribers) {
    const [runs] = await results(subscriber)
    for (const run of runs!) {
      isWhole(t, run)
      t.is(run.last, published[run.producer]! - 1)
    }
    const first = runs!.reduce((sum, run) => sum + run.first, 0)
    t.true(first > joined, 'later than the one before')
    joined = first
  }
  topic.destroy()
  t.is(buffersInUse(shm), 0)
})

test.serial('a hundred subscribers in four processes', async (t) => {
  const { domain, shm, topic } = openTopic(t, {})
  const subscribers = await Promise.all([1, 2, 3, 4].map(() => startSubscriber(t, domain, { subscriptions: 25 })))
  t.is(shm.stats().topics['topic']!.subscriptions.length, 100)
  const publisher = await startPublisher(t, domain, 0)
  await more(shm, 500)
  const published = await stop(publisher)
  topic.close()
  for (const subscriber of subscribers) {
    for (const [run] of await results(subscriber))
      t.like(run, { first: 0, count: published, missing: 0, disordered: 0 })
  }
  t.is(buffersInUse(shm), 0)
})

test.serial('subscribers are killed: publishers go on, the others get everything', async (t) => {
  const { domain, shm, topic, deaths } = openTopic(t, { history: 16 })
  const survivor = await startSubscriber(t, domain)
  const publishers = [await startPublisher(t, domain, 0), await startPublisher(t, domain, 1)]
  const kills = 12
  for (let kill = 0; kill < kills; kill += 2) {
    // Publishers wait for these: a death must let them go.
    const pair = await Promise.all([1, 2].map(() => startSubscriber(t, domain, { options: { capacity: 4 } })))
    await more(shm, 1 + Math.floor(Math.random() * 300))
    for (const victim of pair) victim.signal('SIGKILL')
    for (const victim of pair) await deaths.of(victim)
    await more(shm, 100)
    t.is(shm.stats().topics['topic']!.subscriptions.length, 1)
  }
  const published = await Promise.all(publishers.map(stop))
  topic.close()
  const [runs] = await results(survivor)
  t.is(runs!.length, 2)
  for (const run of runs!) {
    isWhole(t, run)
    t.deepEqual([run.first, run.count], [0, published[run.producer]])
  }
  topic.destroy()
  t.is(buffersInUse(shm), 0)
  t.is(shm.registry.snapshot().recoveries, kills)
})

test.serial('publishers are killed: each subscriber has a message or not, and nothing leaks', async (t) => {
  const { domain, shm, topic, deaths } = openTopic(t, { history: 16 })
  const subscribers = await Promise.all([1, 2, 3].map(() => startSubscriber(t, domain)))
  const kills = 10
  for (let kill = 0; kill < kills; kill++) {
    const victim = await startPublisher(t, domain, kill)
    await more(shm, 1 + Math.floor(Math.random() * 500))
    victim.signal('SIGKILL')
    t.is((await deaths.of(victim)).lost, 0)
  }
  const last = await startPublisher(t, domain, kills)
  await more(shm, 100)
  const published = await stop(last)
  topic.close()
  const all = await Promise.all(subscribers.map(results))
  for (const [runs] of all) {
    for (const run of runs!) {
      isWhole(t, run)
      t.is(run.first, 0)
    }
    t.is(runs!.find(({ producer }) => producer === kills)!.count, published)
  }
  // Of each killed publisher they differ by the message it died in, if at all.
  for (let producer = 0; producer < kills; producer++) {
    const counts = all.map(([runs]) => runs!.find((run) => run.producer === producer)!.count)
    t.true(Math.max(...counts) - Math.min(...counts) <= 1, counts.join())
  }
  topic.destroy()
  t.is(buffersInUse(shm), 0)
})

for (const overflow of ['drop-oldest', 'drop-newest', 'latest', 'reject'] satisfies Overflow[]) {
  test.serial(`a stopped subscriber holds up nobody: ${overflow}`, async (t) => {
    const { domain, shm, topic } = openTopic(t, {})
    const slow = await startSubscriber(t, domain, { options: { capacity: 8, overflow } })
    using quick = topic.subscribe({ capacity: 2048 })
    slow.signal('SIGSTOP')
    for (let i = 0; i < 1000; i++) {
      const buffer = shm.allocate(8)
      buffer.sequence = BigInt(i)
      t.deepEqual((await topic.publish(buffer)).blocked, [])
    }
    t.is(quick.receiveMany(2000).filter((message) => (message.release(), true)).length, 1000)
    slow.signal('SIGCONT')
    await until(() => shm.stats().topics['topic']!.subscriptions[0]!.depth === 0)
    // With the next message it is told of those that were dropped before it.
    await topic.put(new Uint8Array(1))
    topic.close()
    const [runs] = await results(slow)
    const [run] = runs!
    t.is(run!.count + run!.gap, 1001)
    quick.tryReceive()!.release()
    // The ring of the one that has left goes when the publisher hears of it.
    await until(() => buffersInUse(shm) === 0)
  })
}

test.serial('a stopped subscriber that blocks is named; its death lets the publisher go on', async (t) => {
  const { domain, shm, topic, deaths } = openTopic(t, {})
  const options: SubscribeOptions = { capacity: 2 }
  const slow = await startSubscriber(t, domain, { options })
  using quick = topic.subscribe()
  slow.signal('SIGSTOP')
  await topic.putMany([new Uint8Array(1), new Uint8Array(1)])
  const late = await t.throwsAsync(topic.put(new Uint8Array(1), { timeout: 10 }), { instanceOf: MillraceError })
  t.is(late.code, 'ERR_MILLRACE_TIMEOUT')
  t.true(late.message.includes(`process ${slow.pid}`), late.message)
  const waiting = topic.put(new Uint8Array(1))
  t.is(quick.receiveMany(10).filter((message) => (message.release(), true)).length, 4, 'the others have it all')
  slow.signal('SIGKILL')
  const { freed } = await deaths.of(slow)
  t.is((await waiting).blocked.length, 1)
  // Its two messages; the ring itself only when the publisher has let go of it.
  t.true(freed === 2 || freed === 3, `${freed}`)
  t.deepEqual(await topic.put(new Uint8Array(1)), { delivered: 1, dropped: 0, blocked: [] })
  quick.tryReceive()!.release()
  t.is(buffersInUse(shm), 0)
})

test.serial('a named subscription outlives kill -9 of its subscribers, at least once', async (t) => {
  const { domain, shm, topic, deaths } = openTopic(t, { history: 8 })
  const options: SubscribeOptions = { name: 'log', delivery: 'at-least-once', capacity: 4096 }
  const seen = new Set<number>()
  const publisher = await startPublisher(t, domain, 0)
  await more(shm, 100)
  for (let kill = 0; kill < 5; kill++) {
    const victim = await startSubscriber(t, domain, { options })
    await more(shm, 1 + Math.floor(Math.random() * 200))
    victim.signal('SIGKILL')
    await deaths.of(victim)
    t.is(shm.stats().topics['topic']!.subscriptions[0]!.name, 'log')
  }
  // From here on we are the subscriber: what comes is whole, and what the dead had in hand comes again.
  using subscription = topic.subscribe(options)
  let first = Infinity
  const receiving = subscription.consume(({ sequence }) => {
    first = Math.min(first, Number(sequence))
    seen.add(Number(sequence))
  })
  const published = await stop(publisher)
  topic.close()
  await receiving
  t.is(seen.size, published - first)
  t.is(Math.max(...seen), published - 1)
  topic.destroy()
  t.is(buffersInUse(shm), 0)
})

test.serial('processes and worker threads subscribe and unsubscribe all the time', async (t) => {
  const { domain, shm, topic } = openTopic(t, { history: 4 })
  const publisher = await startPublisher(t, domain, 0)
  const renewing = await Promise.all(
    [50, 7].map((renew) => startSubscriber(t, domain, { renew, options: { capacity: 16 } })),
  )
  const workers = ['in', 'in'].map(() => {
    const workerData = { domain: domain.name, topic: 'topic', rounds: 40 }
    return new Worker(new URL('../fixtures/topic-worker.js', import.meta.url), { workerData })
  })
  const told = await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
  t.deepEqual(told, [40 * 20, 40 * 20])
  await more(shm, 1000)
  await stop(publisher)
  topic.close()
  for (const child of renewing) {
    const all = await results(child)
    t.true(all.length > 3, `${all.length} subscriptions`)
    for (const run of all.flat()) isWhole(t, run)
  }
  await until(() => shm.stats().topics['topic']!.subscriptions.length === 0)
  topic.destroy()
  t.is(buffersInUse(shm), 0)
})
