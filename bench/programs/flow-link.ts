// A link between two processes of a flow of JavaScript blocks: this program has the sink, and counts; run once more by the flow, it has the source.
// Prints what it has counted.
import { setTimeout as sleep } from 'node:timers/promises'
import { ShmManager } from '../../index.js'
import { buffers, flow, sink, source } from '../../flow.js'
import type { Counted, LinkJob } from '../lib/link.js'

const IN_FLIGHT_BYTES = 64 * 2 ** 20
const [, , text, domain = `bench-${process.pid}`] = process.argv
// The other process is started with the same arguments.
process.argv[3] = domain
const { bytes, gapMs, warmupMs, timedMs } = JSON.parse(text!) as LinkJob
const shm = ShmManager.open(domain, { maxBytes: '1GiB' })
const f = flow('link', shm)
const from = f.add(
  source('source', { out: buffers }, async function* ({ signal }) {
    for (let number = 0; !signal.aborted; number++) {
      const message = shm.tryAllocate(bytes) ?? (await shm.allocateAsync(bytes))
      message.bytes.fill(number)
      message.timestamp = process.hrtime.bigint()
      yield message
      if (gapMs > 0) await sleep(gapMs)
    }
  }),
  { process: 'source' },
)
const ages: number[] = []
let begin: bigint | undefined
let [first, last] = [0n, 0n]
let count = 0
const to = f.add(
  sink('sink', buffers, (batch) => {
    const now = process.hrtime.bigint()
    begin ??= now
    if (now - begin < BigInt(warmupMs) * 1_000_000n) return
    if (count === 0) first = now
    last = now
    count += batch.length
    for (const message of batch) {
      // Both ends are looked at.
      if (message.bytes[0] !== message.bytes[bytes - 1]) throw new Error('half a message')
      if (gapMs > 0) ages.push(Number(now - message.timestamp) / 1e3)
    }
  }),
)
f.link(from.out, to.in, { capacity: Math.min(1024, Math.floor(IN_FLIGHT_BYTES / bytes)) })
const run = await f.start()
const isSink = Object.keys(run.processes).length > 0
if (isSink) {
  while (Number(last - (begin ?? last)) / 1e6 < warmupMs + timedMs) await sleep(10)
  await run.drain()
  const counted: Counted = { count, seconds: Number(last - first) / 1e9, ages }
  console.log(JSON.stringify(counted))
}
await run.done
shm.close()
