// kill -9 in the middle of a stream, at random moments: survivors go on, and every message is accounted for.
import { EventEmitter, once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import type { PortQueue } from '../../index.js'
import type { ForwardArgs } from '../fixtures/forward.js'
import type { ProduceArgs } from '../fixtures/produce.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { type Child, Deaths, startChild } from './children.js'

const KILLS = 20

/** Receives all along, and remembers what. */
class Receiver extends EventEmitter<{ message: [] }> {
  /** Messages of each producer, by sequence number. */
  readonly seen = new Map<number, Set<number>>()
  /** The last one of each producer. */
  readonly last = new Map<number, bigint>()
  count = 0
  /** Messages that came more than once. */
  twice = 0
  /** Messages that came after a later one of their producer. */
  disordered = 0
  /** Resolves when the queue is closed and drained. */
  readonly ended: Promise<void>

  constructor(queue: PortQueue) {
    super()
    this.ended = queue.consume(({ source, sequence }) => {
      const known = this.seen.get(source) ?? new Set()
      if (known.has(Number(sequence))) this.twice++
      if (sequence <= (this.last.get(source) ?? -1n)) this.disordered++
      this.last.set(source, sequence)
      this.seen.set(source, known.add(Number(sequence)))
      this.count++
      this.emit('message')
    })
  }

  /** Resolves when `count` more messages have come. */
  async more(count: number): Promise<void> {
    for (const end = this.count + count; this.count < end;) await once(this, 'message')
  }

  /** Resolves at a random moment of the stream. */
  someTime(): Promise<void> {
    return this.more(1 + Math.floor(Math.random() * 3000))
  }
}

function startProducer(t: ExecutionContext, domain: string, producer: number): Promise<Child> {
  const args: ProduceArgs = { domain, queue: 'in', producer, count: null, bytes: 100 }
  return startChild(t, 'produce', args).started()
}

function startForwarder(t: ExecutionContext, domain: string): Promise<Child> {
  return startChild(t, 'forward', { domain, from: 'in', to: 'out' } satisfies ForwardArgs).started()
}

/** Ends a producer. Returns how many messages it has sent. */
async function stop(producer: Child): Promise<number> {
  producer.say('stop')
  const { sent } = await producer.hear<{ sent: number }>()
  await producer.done()
  return sent
}

test.serial('consumers are killed: what arrived and what is reported lost is what was sent', async (t) => {
  const domain = testDomain(t)
  t.timeout(120_000)
  const shm = domain.open()
  const deaths = new Deaths(shm)
  const input = shm.portQueue('in', { capacity: 256 })
  const output = shm.portQueue('out', { capacity: 256 })
  const receiver = new Receiver(output)
  const producer = await startProducer(t, domain.name, 1)
  const consumers = [await startForwarder(t, domain.name), await startForwarder(t, domain.name)]

  for (let kill = 0; kill < KILLS; kill++) {
    await receiver.someTime()
    const victim = consumers.shift()!
    victim.signal('SIGKILL')
    await receiver.more(100)
    await deaths.of(victim)
    consumers.push(await startForwarder(t, domain.name))
  }
  const sent = await stop(producer)
  input.close()
  await Promise.all(consumers.map((child) => child.done()))
  output.close()
  await receiver.ended

  t.is(receiver.twice, 0)
  t.is(receiver.count + deaths.lost, sent)
  t.is(buffersInUse(shm), 0)
  t.is(shm.registry.snapshot().recoveries, KILLS)
})

test.serial('producers are killed: what each had sent arrives in order, and nothing else', async (t) => {
  const domain = testDomain(t)
  t.timeout(120_000)
  const shm = domain.open()
  const deaths = new Deaths(shm)
  const input = shm.portQueue('in', { capacity: 256 })
  const receiver = new Receiver(input)
  const producers = [await startProducer(t, domain.name, 0), await startProducer(t, domain.name, 1)]

  for (let kill = 0; kill < KILLS; kill++) {
    await receiver.someTime()
    const victim = producers.shift()!
    victim.signal('SIGKILL')
    await receiver.more(1000)
    t.is((await deaths.of(victim)).lost, 0)
    producers.push(await startProducer(t, domain.name, kill + 2))
  }
  let sent = 0
  for (const producer of producers) sent += await stop(producer)
  input.close()
  await receiver.ended

  t.is(receiver.twice, 0)
  t.is(receiver.disordered, 0)
  for (const [producer, last] of receiver.last) t.is(receiver.seen.get(producer)!.size, Number(last) + 1)
  t.is(receiver.count, shm.stats().queues['in']!.sent)
  t.is(
    [...receiver.seen].filter(([producer]) => producer >= KILLS).reduce((sum, [, { size }]) => sum + size, 0),
    sent,
  )
  t.is(buffersInUse(shm), 0)
  t.is(shm.registry.snapshot().recoveries, KILLS)
})
