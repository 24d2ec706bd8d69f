import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import { testDomain } from '../helpers/domain.js'
import type { WorkerData } from '../fixtures/worker.js'

test('whoever reads text or values that a peer still writes gets garbage at most', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('to-worker', {})
  const values = shm.portQueue('values', { codec: 'json' })
  using message = shm.allocate(65_536)
  message.bytes.fill(97)
  queue.trySend(message.share())
  const workerData: WorkerData = { job: 'scribble', domain: domain.name }
  const worker = new Worker(new URL('../fixtures/worker.js', import.meta.url), { workerData })
  await once(worker, 'message')
  const texts: string[] = []
  // Long enough to end a reader that measures and decodes in two passes, with SIGSEGV, nearly always.
  for (const end = performance.now() + 3000; performance.now() < end;) {
    for (let i = 0; i < 64; i++) {
      const text = message.text()
      t.true(text.length >= 32_768 && text.length <= 65_536)
      texts[i] = text
    }
    values.trySend(message.share())
    t.throws(() => values.tryGet(), { code: 'ERR_MILLRACE_DECODE' })
    values.tryReceive()?.release()
  }
  await worker.terminate()
})
