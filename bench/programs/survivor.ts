// Sends and receives without pause while somebody else may die, and notes what held it up.
import { type RecoveryReport, ShmManager } from '../../index.js'
import { jobOf, serve } from '../lib/control.js'

const { directory, domain } = jobOf<{ directory: string; domain: string }>()
const shm = ShmManager.open(domain, { directory })
const queue = shm.portQueue('survivor', { capacity: 16 })
const reports: RecoveryReport[] = []
shm.on('participant-lost', (lost) => reports.push(lost))
const SLICE_MS = 1

serve({ run, ready: () => true, report }, () => shm.close())

/** Loops for `ms`; answers how long a single step took at most, in ms. */
async function run(ms: number): Promise<number> {
  const deadline = performance.now() + ms
  let longest = 0
  let ball = shm.allocate(64)
  while (performance.now() < deadline) {
    let last = performance.now()
    const sliceEnd = last + SLICE_MS
    while (last < sliceEnd) {
      queue.trySend(ball)
      ball = queue.tryReceive()!
      const now = performance.now()
      if (now - last > longest) longest = now - last
      last = now
    }
    // Reports come by the event loop.
    await new Promise((resolve) => setImmediate(resolve))
  }
  ball.release()
  return longest
}

/** The report of the death, once it has come. */
async function report(): Promise<RecoveryReport> {
  while (reports.length === 0) await new Promise((resolve) => shm.once('participant-lost', resolve))
  return reports[0]!
}
