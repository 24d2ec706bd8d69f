import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import test from 'ava'
import { ShmManager } from '../../index.js'
import { directoryIn } from '../../lib/domain/base-directory.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import type { WorkerData } from '../fixtures/worker.js'

const start = (workerData: WorkerData, options: WorkerOptions = {}) =>
  new Worker(new URL('../fixtures/worker.js', import.meta.url), { ...options, workerData })

for (const job of ['echoSync', 'echo'] as const) {
  test(`a worker thread is a participant: ${job}`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const [to, from] = [shm.portQueue('to-worker', { capacity: 16 }), shm.portQueue('from-worker', { capacity: 16 })]
    const worker = start({ job, domain: domain.name })
    const exited = once(worker, 'exit')
    for (let i = 0; i < 1000; i++) {
      await to.put(new Uint8Array([i & 255, i >> 8]))
      t.deepEqual(await from.get(), new Uint8Array([i & 255, i >> 8]))
    }
    if (job === 'echoSync') {
      const told = once(worker, 'message')
      to.close()
      t.deepEqual(await told, ['ERR_MILLRACE_CLOSED'])
    } else {
      to.close()
    }
    t.deepEqual(await exited, [0])
    t.is(buffersInUse(shm), 0)
    t.is(shm.registry.snapshot().participants.length, 1)
  })
}

test('a worker that blocks can be terminated, and what it held comes back', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  shm.portQueue('to-worker', {})
  for (let i = 0; i < 3; i++) {
    const worker = start({ job: 'hang', domain: domain.name })
    await once(worker, 'message')
    await worker.terminate()
    t.is(shm.registry.snapshot().participants.length, 1)
    t.is(buffersInUse(shm), 0)
  }
})

test('a worker that ends without closing leaves the domain', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const worker = start({ job: 'abandon', domain: domain.name })
  t.deepEqual(await once(worker, 'exit'), [0])
  t.is(shm.registry.snapshot().participants.length, 1)
})

test('several workers share one queue, every message goes to one of them', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const [to, from] = [shm.portQueue('to-worker', { capacity: 64 }), shm.portQueue('from-worker', { capacity: 64 })]
  const workers = [start({ job: 'echoSync', domain: domain.name }), start({ job: 'echo', domain: domain.name })]
  const exits = workers.map((worker) => once(worker, 'exit'))
  const count = 5000
  const put = to.putMany(Array.from({ length: count }, (_, i) => new Uint8Array([i & 255, i >> 8])))
  const seen = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const [low, high] = await from.get()
    seen[low! + high! * 256]!++
  }
  await put
  t.true(seen.every((times) => times === 1))
  to.close()
  t.deepEqual(await Promise.all(exits), [[0], [0]])
  t.is(buffersInUse(shm), 0)
})

test('a worker finds domains by its own environment', async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'millrace-worker-'))
  t.teardown(() => rmSync(base, { recursive: true }))
  const { MILLRACE_DIR: _dir, XDG_RUNTIME_DIR: _runtime, ...bare } = process.env
  const domain = testDomain(t)
  const shm = domain.open()
  const environments = [
    [{ ...bare, MILLRACE_DIR: base }, base],
    [{ ...bare, XDG_RUNTIME_DIR: base }, join(base, 'millrace')],
    [process.env, dirname(shm.directory)],
    [bare, directoryIn(bare)],
  ] as const
  for (const [env, directory] of environments) {
    const worker = start({ job: 'where', domain: domain.name }, { env })
    t.deepEqual(await once(worker, 'message'), [join(directory, domain.name)])
    const there = ShmManager.open(domain.name, { directory })
    const { participants } = there.registry.snapshot()
    t.true(participants.some(({ name }) => name.endsWith(`/${worker.threadId}`)))
    there.close()
    worker.postMessage('leave')
    t.deepEqual(await once(worker, 'exit'), [0])
  }
})

test('what a worker takes for the directory of domains is what the addon takes', (t) => {
  const shm = openDomain(t)
  t.is(join(directoryIn(process.env), shm.domain), shm.directory)
})
