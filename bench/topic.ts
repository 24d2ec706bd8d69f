// Topics: what publishing costs with 1 … 100 subscribers, and what a ring that all of them read would cost instead.
//
//   node dist/bench/topic.js [--json]
//
// Everything runs in one process, alone: these are costs of instructions, not of waking others or of caches that fight. A round
// publishes messages of 64 bytes, 64 to a crossing, then receives and releases them at every subscriber. "ring" publishes to the
// history only and has each subscriber refer to the message in place (`peek`), which is what a subscriber of a shared ring does:
// count a reference, look again, note it. Of many short rounds the best one counts: what is above it is what else the machine does.
import { type BufferPtr, type PortQueue, ShmManager, type Subscription } from '../index.js'

const SUBSCRIBERS = [0, 1, 2, 4, 8, 16, 32, 64, 100]
const ROUNDS = 60
const BATCH = 64
const BYTES = 64

interface Row {
  subscribers: number
  /** ns per message. */
  publish: number
  /** ns per message and subscriber. */
  receive: number
}

const now = () => Number(process.hrtime.bigint())
const least = (values: number[]) => Math.min(...values)

/** Publishes `batches` batches; answers ns per message for publishing, and per message and subscriber for receiving. */
async function round(
  shm: ShmManager,
  publish: (buffers: BufferPtr[]) => unknown,
  from: Subscription[],
  batches: number,
) {
  let [publishing, receiving] = [0, 0]
  for (let batch = 0; batch < batches; batch++) {
    const buffers = shm.allocateMany(BYTES, BATCH)
    const started = now()
    await publish(buffers)
    const published = now()
    for (const subscription of from) {
      const messages = subscription.receiveMany(BATCH)
      if (messages.length !== BATCH) throw new Error(`${messages.length} of ${BATCH} messages arrived`)
      for (const message of messages) message.release()
    }
    receiving += now() - published
    publishing += published - started
  }
  const messages = batches * BATCH
  return { publish: publishing / messages, receive: receiving / messages / Math.max(1, from.length) }
}

async function measure(shm: ShmManager, history: number, subscribers: number): Promise<Row> {
  const topic = shm.topic(`topic-${history}-${subscribers}`, { history })
  const from = Array.from({ length: subscribers }, () => topic.subscribe({ capacity: 2 * BATCH }))
  const batches = Math.max(2, Math.floor(100 / (1 + subscribers)))
  const publish = (buffers: BufferPtr[]) => topic.publishMany(buffers)
  for (let i = 0; i < ROUNDS / 4; i++) await round(shm, publish, from, batches)
  const rounds = []
  for (let i = 0; i < ROUNDS; i++) rounds.push(await round(shm, publish, from, batches))
  topic.destroy()
  for (const subscription of from) subscription.close()
  return {
    subscribers,
    publish: least(rounds.map((r) => r.publish)),
    receive: least(rounds.map((r) => r.receive)),
  }
}

/** ns to refer to a message in place, and let go of it again. */
function measurePeek(queue: PortQueue): number {
  const rounds = []
  for (let i = 0; i < ROUNDS + 1; i++) {
    const started = now()
    for (let n = 0; n < 1000; n++) queue.peek()!.release()
    rounds.push((now() - started) / 1000)
  }
  return least(rounds)
}

/** ns to receive a message, one to a crossing, and release it: what `peek` is to be compared with. */
function measureReceive(queue: PortQueue): number {
  const rounds = []
  for (let i = 0; i < ROUNDS + 1; i++) {
    let spent = 0
    for (let n = 0; n < 10; n++) {
      for (let k = 0; k < BATCH; k++) queue.tryPut(new Uint8Array(BYTES))
      const started = now()
      for (let k = 0; k < BATCH; k++) queue.tryReceive()!.release()
      spent += now() - started
    }
    rounds.push(spent / 10 / BATCH)
  }
  return least(rounds)
}

using shm = ShmManager.open(`bench-topic-${process.pid}`, { maxBytes: '64MiB' })
const rows: Row[] = []
for (const subscribers of SUBSCRIBERS) rows.push(await measure(shm, 0, subscribers))
const ring = await measure(shm, 1024, 0)
const queue = shm.portQueue('peek', { capacity: 2 * BATCH })
const receive = measureReceive(queue)
queue.tryPut(new Uint8Array(BYTES))
const peek = measurePeek(queue)

if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ rows, ring: ring.publish, peek, receive }))
} else {
  console.log('subscribers   publish, ns/message   per subscriber   receive + release, ns/message')
  for (const { subscribers, publish, receive: taken } of rows) {
    const each = subscribers === 0 ? '' : ((publish - rows[0]!.publish) / subscribers).toFixed(1)
    console.log(
      `${subscribers}`.padStart(11) +
        publish.toFixed(0).padStart(22) +
        each.padStart(17) +
        taken.toFixed(0).padStart(32),
    )
  }
  console.log(
    `\npublish to a history of 1024 and nobody else: ${ring.publish.toFixed(0)} ns/message, however many read it`,
  )
  console.log(
    `one at a time: receive + release ${receive.toFixed(0)} ns, refer in place + release ${peek.toFixed(0)} ns`,
  )
}
