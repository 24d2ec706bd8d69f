// Messages between processes that all live: every one arrives exactly once, in order per producer, unharmed.
import test, { type ExecutionContext } from 'ava'
import type { ConsumeArgs } from '../fixtures/consume.js'
import type { Tally } from '../fixtures/tally.js'
import type { ProduceArgs } from '../fixtures/produce.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { startChild } from './children.js'

interface Stream {
  producers: number
  consumers: number
  /** Messages of each producer. */
  count: number
  bytes: number
  /** Check the contents, not only the numbers. */
  filled: boolean
}

/** Runs the processes of a stream and checks what arrived. */
async function run(t: ExecutionContext, { producers, consumers, count, bytes, filled }: Stream): Promise<void> {
  const domain = testDomain(t)
  t.timeout(120_000)
  const shm = domain.open()
  const queue = shm.portQueue('stream', { capacity: 1024 })
  const shared = { domain: domain.name, queue: 'stream', filled }

  const receiving = Array.from({ length: consumers }, () => startChild(t, 'consume', shared satisfies ConsumeArgs))
  const sending = Array.from({ length: producers }, (_, producer) =>
    startChild(t, 'produce', { ...shared, producer, count, bytes } satisfies ProduceArgs),
  )
  await Promise.all(sending.map((child) => child.done()))
  queue.close()

  const tallies: Record<number, Tally>[] = []
  for (const child of receiving) {
    tallies.push(await (await child.started()).hear())
    await child.done()
  }
  for (let producer = 0; producer < producers; producer++) {
    const parts = tallies.flatMap((tally) => tally[producer] ?? [])
    const total = (field: keyof Tally) => parts.reduce((sum, part) => sum + part[field], 0)
    t.is(total('count'), count)
    t.is(total('sum') % 2 ** 32, ((count * (count - 1)) / 2) % 2 ** 32)
    t.is(
      parts.reduce((xor, part) => xor ^ part.xor, 0),
      xorUpTo(count),
    )
    t.is(total('disordered'), 0)
    t.is(total('damaged'), 0)
  }
  const { sent, received, depth } = shm.stats().queues['stream']!
  t.deepEqual({ sent, received, depth }, { sent: producers * count, received: producers * count, depth: 0 })
  t.is(buffersInUse(shm), 0)
  t.is(shm.registry.snapshot().recoveries, 0)
}

/** 0 ^ 1 ^ … ^ (n - 1). */
function xorUpTo(n: number): number {
  return [n - 1, 1, n, 0][(n - 1) & 3]!
}

for (const [producers, consumers, count] of [
  [1, 1, 100],
  [3, 1, 50],
] as const) {
  test.serial(`${producers} → ${consumers}, ${count} buffers each`, (t) =>
    run(t, { producers, consumers, count, bytes: 4096, filled: true }),
  )
}

for (const [producers, consumers] of [
  [1, 3],
  [3, 3],
  [8, 8],
] as const) {
  const count = Math.ceil(1_000_000 / producers)
  test.serial(`${producers} → ${consumers}, a million messages`, (t) =>
    run(t, { producers, consumers, count, bytes: 64, filled: false }),
  )
}
