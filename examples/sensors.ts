// Two sensors with clocks of their own, 30 and 10 messages a second, are put together by their times; a few messages of the slow one are so
// late that they belong to none of the other. What is in no set comes out at `rest`, so that each message is accounted for.
import assert from 'node:assert/strict'
import { type BufferPtr, ShmManager } from 'millrace'
import { buffers, flow, Join, sink, type SinkBlock, source } from 'millrace/flow'

const SCANS = 200
/** Every so many scans is late, by half the time between two images. */
const LATE = 10
const IMAGES = SCANS * 3
const MS = 1_000_000
const IMAGE_EVERY = 33 * MS
const TOLERANCE = 10 * MS
/** What a clock is off, at most. */
const JITTER = 3 * MS

using shm = ShmManager.open(`example-sensors-${process.pid}`)
const jitter = (at: number) => Math.round(Math.sin(at) * JITTER)
const imageTime = (at: number) => at * IMAGE_EVERY + jitter(at)
const scanTime = (at: number) => at * 3 * IMAGE_EVERY + jitter(at * 7) + (at % LATE === 1 ? IMAGE_EVERY / 2 : 0)

function sensor(name: string, count: number, timeOf: (at: number) => number) {
  return source(name, { out: buffers }, async function* () {
    for (let at = 0; at < count; at++) {
      const message = await shm.allocateAsync(64)
      message.sequence = BigInt(at)
      message.timestamp = BigInt(timeOf(at) + JITTER)
      yield message
    }
  })
}

interface Seen {
  number: number
  time: number
}

/** Collects what it gets. */
function collect(name: string): [seen: Seen[], block: SinkBlock<Uint8Array, BufferPtr>] {
  const seen: Seen[] = []
  const block = sink(name, buffers, (batch) => {
    for (const { sequence, timestamp } of batch) seen.push({ number: Number(sequence), time: Number(timestamp) })
  })
  return [seen, block]
}

const f = flow('sensors', shm, { threads: 1 })
const camera = f.add(sensor('camera', IMAGES, imageTime))
const lidar = f.add(sensor('lidar', SCANS, scanTime))
const join = f.add(new Join({ policy: 'approximate', tolerance: TOLERANCE, leftovers: 'rest' }))
const [images, imageSink] = collect('images')
const [scans, scanSink] = collect('scans')
const [rest, restSink] = collect('rest')
for (const block of [imageSink, scanSink, restSink]) f.add(block)
f.link(camera.out, join.in[0]!).link(lidar.out, join.in[1]!)
f.link(join.out[0]!, imageSink.in).link(join.out[1]!, scanSink.in).link(join.rest!, restSink.in)
await using run = await f.start()
await run.done

const late = SCANS / LATE
assert.equal(scans.length, SCANS - late, 'each scan that is in time has an image')
assert.equal(images.length, scans.length, 'sets are whole')
for (const [at, scan] of scans.entries()) {
  assert.equal(images[at]!.number, scan.number * 3)
  assert.ok(Math.abs(images[at]!.time - scan.time) <= TOLERANCE)
}
assert.equal(rest.length, IMAGES + SCANS - 2 * scans.length, 'what is in no set is at rest')
const used = shm.stats().pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0)
assert.equal(used, 0, 'every buffer is back in its pool')
console.log(`${IMAGES} images and ${SCANS} scans, ${late} of them late: ${scans.length} sets, ${rest.length} in none`)
