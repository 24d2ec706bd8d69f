// A participant of a domain: produces, consumes, waits, holds buffers, opens and closes, as it is asked to.
import { type BufferPtr, type PortQueue, ShmManager } from '../../index.js'
import { jobOf, serve } from '../lib/control.js'
import { latencyOf } from '../lib/numbers.js'
import type { Latency } from '../lib/result.js'
import type { MemberJob, Production } from '../lib/domain.js'

const { directory, domain, maxBytes } = jobOf<MemberJob>()
const shm = ShmManager.open(domain, { directory, ...(maxBytes !== undefined && { maxBytes }) })
const held: BufferPtr[] = []
const consumed = new Map<string, Promise<number>>()
let edges = 0

serve({ produce, consume, consumed: take, park, hold, open }, () => shm.close())

/** Sends messages for a time, to the queues in turn; answers how many. */
async function produce({ queues: names, bytes, batch, ms, style }: Production): Promise<number> {
  const queues = names.map((name) => shm.portQueue(name))
  const payload = new Uint8Array(bytes).fill(1)
  const payloads = Array.from({ length: batch }, () => payload)
  const deadline = performance.now() + ms
  let sent = 0
  for (let turn = 0; performance.now() < deadline; turn++) {
    const queue = queues[turn % queues.length]!
    if (style === 'copied') await queue.putMany(payloads)
    else await sendFilled(queue, bytes, batch)
    sent += batch
  }
  return sent
}

/** Buffers that are allocated, filled and sent. */
async function sendFilled(queue: PortQueue, bytes: number, batch: number): Promise<void> {
  const buffers: BufferPtr[] = []
  for (let i = 0; i < batch; i++) {
    const buffer = await shm.allocateAsync(bytes)
    buffer.bytes.fill(i)
    buffers.push(buffer)
  }
  const sent = queue.sendMany(buffers)
  for (const buffer of buffers.slice(sent)) await queue.send(buffer)
}

/** Begins to receive from queues until they are closed. */
function consume(names: readonly string[]): void {
  for (const name of names) consumed.set(name, drain(shm.portQueue(name)))
}

/** How many messages queues brought, once they are closed and drained. */
async function take(names: readonly string[]): Promise<number> {
  const counts = await Promise.all(names.map((name) => consumed.get(name)!))
  return counts.reduce((sum, count) => sum + count, 0)
}

async function drain(queue: PortQueue): Promise<number> {
  let count = 0
  for await (const batch of queue.batches()) {
    for (const { bytes } of batch) edges += bytes[0]! + bytes[bytes.length - 1]!
    count += batch.length
  }
  return count
}

/** Waits for a message of a queue for ever. */
function park(name: string): void {
  shm
    .portQueue(name)
    .receive()
    .catch(() => {})
}

/** Takes buffers and keeps them. */
function hold({ bytes, count }: { bytes: number; count: number }): void {
  held.push(...shm.allocateMany(bytes, count))
}

/** Opens and closes a domain again and again, which others keep alive, or which is made anew each time. */
function open({ name, times }: { name: string; times: number }): Latency {
  const samples = new Float64Array(times)
  for (let i = 0; i < times; i++) {
    const started = performance.now()
    const other = ShmManager.open(name, { directory })
    samples[i] = (performance.now() - started) * 1e3
    other.close()
  }
  return latencyOf(samples)
}
