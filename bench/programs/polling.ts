// Either side of a round trip that is waited for awake: asks for the next message again and again, without an event loop.
import { type BufferPtr, ShmManager } from '../../index.js'
import { jobOf, serve } from '../lib/control.js'
import { latencyOf } from '../lib/numbers.js'
import type { Sample } from '../lib/result.js'

const job = jobOf<{ folder: string; out: string; inward: string }>()
const shm = ShmManager.open('polling', { directory: job.folder })
const [out, inward] = [job.out, job.inward].map((name) => shm.portQueue(name, { capacity: 64 }))
/** Round trips that are timed together: one takes about as long as to look at the clock. */
const BLOCK = 16
const LAST = 1

serve({ ask, echo }, () => shm.close())

function next(): BufferPtr {
  for (;;) {
    const message = inward!.tryReceive()
    if (message !== null) return message
  }
}

/** Sends every message back, the same buffer, until the last one. */
function echo(): void {
  for (let isLast = false; !isLast;) {
    const message = next()
    isLast = message.typeId === LAST
    out!.trySend(message)
  }
}

function ask({ warmupMs, timedMs }: { warmupMs: number; timedMs: number }): Sample {
  let ball = shm.allocate(64)
  const trips = (ms: number) => {
    const deadline = performance.now() + ms
    const samples: number[] = []
    while (performance.now() < deadline) {
      const started = process.hrtime.bigint()
      for (let i = 0; i < BLOCK; i++) {
        out!.trySend(ball)
        ball = next()
      }
      samples.push(Number(process.hrtime.bigint() - started) / 1e3 / BLOCK)
    }
    return latencyOf(Float64Array.from(samples))
  }
  trips(warmupMs)
  const latency = trips(timedMs)
  ball.typeId = LAST
  out!.trySend(ball)
  next().release()
  return { value: latency.p50, latency }
}
