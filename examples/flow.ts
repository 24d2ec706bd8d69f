// Flows across processes, by the name of a queue alone: a producer and a consumer, each with a scheduler of its own, in either order; three
// producers at once; and samples that JavaScript makes and reads, with native blocks in between.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ShmManager } from 'millrace'
import { Gain, NullSink, NullSource, Scheduler } from 'millrace/flow'

const [role, domain, count] = process.argv.slice(2)
if (role === 'producer') await produce(domain!, Number(count))
else if (role === 'consumer') await consume(domain!, Number(count))
else await main(`example-flow-${process.pid}`)

async function produce(name: string, messages: number): Promise<void> {
  process.once('disconnect', () => process.exit())
  using shm = ShmManager.open(name)
  const source = new NullSource({ size: 1024, count: messages })
  source.out.connect(shm.portQueue('port'))
  const scheduler = new Scheduler(shm, { threads: 2 })
  scheduler.add(source)
  await scheduler.run()
  process.exitCode = source.stats().items === messages ? 0 : 1
  process.disconnect()
}

async function consume(name: string, messages: number): Promise<void> {
  process.once('disconnect', () => process.exit())
  using shm = ShmManager.open(name)
  const sink = new NullSink({ count: messages })
  sink.in.connect(shm.portQueue('port', { capacity: 256 }))
  const scheduler = new Scheduler(shm, { threads: 2 })
  scheduler.add(sink)
  await scheduler.run()
  process.exitCode = sink.stats().items === messages ? 0 : 1
  process.disconnect()
}

/** Starts processes, one after the other, and waits until all of them have done what they were to do. */
async function run(shm: ShmManager, ...processes: [role: string, count: number][]): Promise<void> {
  const file = fileURLToPath(import.meta.url)
  const ended = processes.map(([what, messages]) => once(fork(file, [what, shm.domain, `${messages}`]), 'exit'))
  for (const [code] of await Promise.all(ended)) assert.equal(code, 0)
  const used = shm.stats().pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0)
  assert.equal(used, 0, 'every buffer is back in its pool')
  console.log(`${processes.map((words) => words.join(' ')).join(', ')}: all arrived`)
}

async function scale(shm: ShmManager): Promise<void> {
  const [raw, scaled] = [shm.portQueue('raw', {}), shm.portQueue('scaled', {})]
  await using scheduler = new Scheduler(shm)
  const [half, negative] = [scheduler.add(new Gain({ factor: 0.5 })), scheduler.add(new Gain({ factor: -1 }))]
  half.in.connect(raw)
  scheduler.link(half.out, negative.in)
  negative.out.connect(scaled)
  const ended = scheduler.run()
  await raw.put(new Uint8Array(Float32Array.of(1, 2, 3).buffer))
  using message = await scaled.receive()
  assert.deepEqual([...message.as(Float32Array)], [-0.5, -1, -1.5])
  raw.close() // ends the blocks, one after the other
  const { blocks } = await ended
  console.log(blocks.map(({ name, items }) => `${name} ${items}`).join(', '))
}

async function main(name: string): Promise<void> {
  using shm = ShmManager.open(name)
  await run(shm, ['consumer', 100], ['producer', 100])
  await run(shm, ['producer', 100], ['consumer', 100])
  await run(shm, ['producer', 50], ['producer', 50], ['producer', 50], ['consumer', 150])
  await scale(shm)
}
