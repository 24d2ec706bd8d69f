// What passes is told by channels of node:diagnostics_channel, exactly, and only to who has subscribed.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import test, { type ExecutionContext } from 'ava'
import { SageQueue } from '../../index.js'
import type { Passage } from '../../lib/session/passing.js'
import { openDomain } from '../helpers/domain.js'
import { openSage } from '../helpers/sage.js'

const NAMES = ['publish', 'receive', 'drop', 'redelivery'] as const

/** What the channels tell of `subject` from now on: by channel, all counts together. */
function told(t: ExecutionContext, domain: string, subject: string) {
  const counts = { publish: 0, receive: 0, drop: 0, redelivery: 0 }
  const listeners = NAMES.map((name) => {
    const listener = (message: unknown) => {
      const passage = message as Passage
      if (passage.domain === domain && passage.subject === subject) counts[name] += passage.count
    }
    subscribe(`millrace:${name}`, listener)
    return () => unsubscribe(`millrace:${name}`, listener)
  })
  t.teardown(() => listeners.forEach((end) => end()))
  return counts
}

test.serial('every way to send and to receive', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', { capacity: 64 })
  const counts = told(t, shm.domain, 'queue "queue"')
  const bytes = Buffer.from('bytes')
  const buffer = () => shm.allocate(10)
  queue.tryPut(bytes)
  await queue.put(bytes)
  await queue.putMany([bytes, bytes, new Uint8Array(100_000)])
  queue.trySend(buffer())
  await queue.send(buffer())
  queue.sendSync(buffer(), { allowBlocking: true })
  t.is(queue.sendMany([buffer(), buffer()]), 2)
  t.deepEqual(counts, { publish: 10, receive: 0, drop: 0, redelivery: 0 })
  t.deepEqual(queue.tryGet(), new Uint8Array(bytes))
  await queue.get()
  t.is(queue.getMany(3).length, 3)
  queue.tryReceive()!.release()
  ;(await queue.receive()).release()
  queue.receiveSync({ allowBlocking: true }).release()
  for (const message of queue.receiveMany(1)) message.release()
  queue.close()
  for await (const batch of queue.batches()) t.is(batch.length, 1)
  t.deepEqual(counts, { publish: 10, receive: 10, drop: 0, redelivery: 0 })
})

test.serial('who waits for room is told when it has sent', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', { capacity: 1 })
  const counts = told(t, shm.domain, 'queue "queue"')
  queue.tryPut(Buffer.from('1'))
  t.false(queue.tryPut(Buffer.from('2')))
  const waiting = queue.put(Buffer.from('2'))
  t.is(counts.publish, 1)
  queue.tryGet()
  await waiting
  t.is(counts.publish, 2)
})

test.serial('drops, by the receiver of a queue and by the publisher of a topic', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', { capacity: 2, overflow: 'drop-oldest' })
  const ofQueue = told(t, shm.domain, 'queue "queue"')
  for (let i = 0; i < 5; i++) queue.tryPut(Buffer.from(`${i}`))
  t.deepEqual(queue.tryGet(), new Uint8Array(Buffer.from('3')))
  t.deepEqual(ofQueue, { publish: 5, receive: 1, drop: 3, redelivery: 0 })
  const topic = shm.topic('topic', {})
  const ofTopic = told(t, shm.domain, 'topic "topic"')
  topic.subscribe({ capacity: 1, overflow: 'drop-newest' })
  for (let i = 0; i < 3; i++) await topic.put(Buffer.from(`${i}`))
  t.deepEqual(ofTopic, { publish: 3, receive: 0, drop: 2, redelivery: 0 })
})

test.serial('a message that a topic gives to who had no room is told once', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic('topic', {})
  const subscriptions = [topic.subscribe({ capacity: 1 }), topic.subscribe({ capacity: 1 })]
  const counts = told(t, shm.domain, 'topic "topic"')
  await topic.put(Buffer.from('1'))
  const waiting = topic.put(Buffer.from('2'))
  for (const subscription of subscriptions) subscription.tryGet()
  await waiting
  t.is(counts.publish, 2)
})

test.serial('what comes again', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', { capacity: 4, delivery: 'at-least-once' })
  const counts = told(t, shm.domain, 'queue "queue"')
  queue.tryPut(Buffer.from('once more'))
  queue.tryReceive()!.nack()
  t.deepEqual(counts, { publish: 1, receive: 1, drop: 0, redelivery: 0 })
  queue.tryReceive()!.release()
  t.deepEqual(counts, { publish: 1, receive: 2, drop: 0, redelivery: 1 })
})

test.serial('SageQueues and services', async (t) => {
  const sage = openSage<number>(t)
  const ofSage = told(t, `sage.${sage.namespace}`, 'queue "jobs"')
  await sage.put(1)
  await sage.get()
  sage.giveBack()
  using other = new SageQueue<number>('jobs', { namespace: sage.namespace })
  t.is(await other.get(), 1)
  other.taskDone()
  t.deepEqual(ofSage, { publish: 1, receive: 2, drop: 0, redelivery: 1 })
  const shm = openDomain(t)
  using service = shm.service<number, number>('double', { codec: 'json' })
  const ofService = told(t, shm.domain, 'service "double"')
  const serving = service.serve((n) => 2 * n)
  t.is(await service.request(21), 42)
  t.deepEqual(ofService, { publish: 1, receive: 1, drop: 0, redelivery: 0 })
  service.close()
  await serving
})

test.serial('who is told may send and receive at once', (t) => {
  const shm = openDomain(t)
  const [queue, copies] = [shm.portQueue('queue', { capacity: 8 }), shm.portQueue('copies', { capacity: 8 })]
  const listener = (message: unknown) => {
    if ((message as Passage).subject === 'queue "queue"') copies.tryPut(Buffer.from('copy'))
  }
  for (const name of NAMES) subscribe(`millrace:${name}`, listener)
  t.teardown(() => NAMES.forEach((name) => unsubscribe(`millrace:${name}`, listener)))
  t.is(queue.sendMany([shm.allocate(1), shm.allocate(2)]), 2)
  t.deepEqual(queue.receiveMany(2).map((message) => [message.length, message.release()][0]), [1, 2]) // prettier-ignore
  t.is(copies.getMany(8).length, 2)
})
