// A pool of worker processes makes thumbnails. Images travel as buffers of shared memory; who is free takes the next one.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ShmManager } from 'millrace'
import sharp from 'sharp'

const IMAGES = 40
const WORKERS = 2
const [WIDTH, HEIGHT] = [1280, 960]
const [SMALL_WIDTH, SMALL_HEIGHT] = [128, 96]

type Color = [red: number, green: number, blue: number]

const [role, domain] = process.argv.slice(2)
if (role === 'worker') await work(domain!)
else await demand(`example-thumbnails-${process.pid}`)

async function work(name: string): Promise<void> {
  const shm = ShmManager.open(name)
  process.once('disconnect', () => process.exit())
  if (!process.connected) process.exit()
  // One at a time: sharp has threads of its own.
  await shm.service('thumbnail').serve(
    async (image) => {
      const small = await sharp(image.bytes).resize(SMALL_WIDTH, SMALL_HEIGHT).png().toBuffer()
      const reply = shm.allocate(small.length)
      reply.bytes.set(small)
      reply.typeId = process.pid
      return reply
    },
    { concurrency: 1 },
  )
}

/** Images that can be checked: the left half of one color, the right half of another. */
function colors(n: number): [Color, Color] {
  return [
    [n * 5, 20, 255 - n * 5],
    [255 - n * 3, n * 6, 7],
  ]
}

async function draw(n: number): Promise<Buffer> {
  const [left, right] = colors(n).map(([r, g, b]) => ({ r, g, b }))
  const half = { width: WIDTH / 2, height: HEIGHT, channels: 3 as const, background: right! }
  const input = await sharp({ create: half }).png().toBuffer()
  return sharp({ create: { ...half, width: WIDTH, background: left! } })
    .composite([{ input, left: WIDTH / 2, top: 0 }])
    .removeAlpha()
    .png()
    .toBuffer()
}

async function demand(name: string): Promise<void> {
  using shm = ShmManager.open(name)
  const workers = Array.from({ length: WORKERS }, () => fork(fileURLToPath(import.meta.url), ['worker', name]))
  const thumbnail = shm.service('thumbnail')
  const byWorker = new Map<number, number>()
  let [before, after] = [0, 0]
  const make = async (n: number) => {
    const image = await draw(n)
    before += image.length
    // A worker that dies is no harm: another makes the thumbnail.
    using small = await thumbnail.request(image, { retry: 2, timeout: 60_000 })
    after += small.length
    byWorker.set(small.typeId, (byWorker.get(small.typeId) ?? 0) + 1)
    const { data, info } = await sharp(small.bytes).raw().toBuffer({ resolveWithObject: true })
    assert.deepEqual([info.width, info.height, info.channels], [SMALL_WIDTH, SMALL_HEIGHT, 3])
    const middle = (SMALL_HEIGHT / 2) * SMALL_WIDTH * 3
    assert.deepEqual([...data.subarray(middle, middle + 3)], colors(n)[0])
    assert.deepEqual([...data.subarray(middle + (SMALL_WIDTH - 1) * 3).subarray(0, 3)], colors(n)[1])
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: IMAGES }, (_, n) => make(n)))
  const ms = performance.now() - start
  const counts = [...byWorker.values()]
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    IMAGES,
  )
  for (const worker of workers) {
    worker.disconnect()
    assert.deepEqual(await once(worker, 'exit'), [0, null])
  }
  console.log(`${IMAGES} images of ${WIDTH} x ${HEIGHT}, by worker: ${counts.join(' + ')}, in ${ms.toFixed(0)} ms`)
  console.log(`${before} bytes became ${after}; the size and the colors of each are right`)
}
