// Worker threads of one process, each a participant of its own, terminated at any time.
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import type { WorkerData } from '../fixtures/worker.js'
import { buffersInUse, type TestDomain, testDomain } from '../helpers/domain.js'

const TERMINATIONS = 40

function startWorker(domain: TestDomain, blocking: boolean): Worker {
  const workerData: WorkerData = { domain: domain.name, job: blocking ? 'echoSync' : 'echo' }
  return new Worker(new URL('../fixtures/worker.js', import.meta.url), { workerData })
}

function threads(): number {
  return existsSync('/proc/self/task') ? readdirSync('/proc/self/task').length : 0
}

test.serial('workers are terminated at any time: the others go on, and nothing leaks', async (t) => {
  const domain = testDomain(t)
  t.timeout(120_000)
  const shm = domain.open()
  const input = shm.portQueue('to-worker', { capacity: 32 })
  const output = shm.portQueue('from-worker', { capacity: 32 })
  const workers = Array.from({ length: 4 }, (_, i) => startWorker(domain, i % 2 === 0))
  let sent = 0
  const stop = new AbortController()
  const sending = (async () => {
    while (!stop.signal.aborted) {
      const buffer = shm.allocate(100)
      buffer.sequence = BigInt(sent++)
      await input.send(buffer)
    }
  })()
  const seen = new Set<bigint>()
  const receiving = output.consume(({ sequence }) => {
    t.false(seen.has(sequence))
    seen.add(sequence)
  })

  for (let i = 0; i < TERMINATIONS; i++) {
    // From before it has opened the domain to long after.
    await setTimeout(Math.random() * 200)
    await workers.shift()!.terminate()
    workers.push(startWorker(domain, i % 2 === 0))
  }
  const before = seen.size
  while (seen.size < before + 1000) await setTimeout(1)
  stop.abort()
  await sending
  input.close()
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  output.close()
  await receiving

  // A terminated worker had at most one message in hand.
  t.true(seen.size <= sent && seen.size >= sent - TERMINATIONS, `${seen.size} of ${sent}`)
  t.is(buffersInUse(shm), 0)
  const { participants, recoveries } = shm.registry.snapshot()
  t.is(participants.length, 1)
  t.is(recoveries, 0)
})

test.serial('a hundred workers leave no thread behind', async (t) => {
  const domain = testDomain(t)
  t.timeout(120_000)
  const shm = domain.open()
  shm.portQueue('to-worker', { capacity: 4 })
  shm.portQueue('from-worker', { capacity: 4 })
  const before = threads()
  for (let round = 0; round < 10; round++) {
    const workers = Array.from({ length: 10 }, (_, i) => startWorker(domain, i % 2 === 0))
    // Every other one waits by then, the rest is still on its way.
    while (shm.registry.snapshot().participants.length < 6) await setTimeout(1)
    await Promise.all(workers.map((worker) => worker.terminate()))
    t.is(shm.registry.snapshot().participants.length, 1)
  }
  t.is(threads(), before)
  t.is(buffersInUse(shm), 0)
})
