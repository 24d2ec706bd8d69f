// Asks for every chunk, puts the digests in order, and asks again for what was lost on the way.
import { chunksOf, DIGEST_BYTES, digestOf, type Job, join, type Progress, type Request, type Result } from './job.js'

const PROGRESS_STEPS = 50

const job = JSON.parse(process.argv[2]!) as Job
using shm = join(job, 'collector')
const requests = shm.portQueue<Request>('requests')
const progress = shm.portQueue<Progress | Result>('progress')

const total = chunksOf(job)
const missing = new Set(Array.from({ length: total }, (_, index) => index))
const digests = Buffer.alloc(total * DIGEST_BYTES)
let lost = 0
let askedAgain = 0
let copies = 0
let seconds = 0

/** Once no more is missing than was lost, nothing is under way any more: what is missing is what was lost. */
function askAgain(): void {
  if (missing.size > lost - askedAgain) return
  askedAgain += missing.size
  for (const first of missing) void requests.put({ first, count: 1 })
}

shm.on('participant-lost', (report) => {
  lost += report.lost
  askAgain()
})

const started = performance.now()
await requests.put({ first: 0, count: total })
for await (const message of shm.portQueue('digests')) {
  const index = Number(message.sequence)
  digests.set(message.bytes, index * DIGEST_BYTES)
  // The reader's time stamp belongs to the buffer it filled; a copy would not have it.
  if (message.timestamp === 0n) copies++
  missing.delete(index)
  askAgain()
  if (missing.size === 0) {
    seconds ||= (performance.now() - started) / 1000
    requests.close()
  }
  const done = total - missing.size
  if (done < total && done % Math.ceil(total / PROGRESS_STEPS) === 0)
    await progress.put({ done, hasher: message.source })
}
await progress.put({ digest: digestOf(digests).toString('hex'), seconds, lost, askedAgain, copies })
