// Thumbnails by a flow: one process draws images, two others shrink them in turn, the first checks what comes. Each process runs this file.
import assert from 'node:assert/strict'
import { ShmManager } from 'millrace'
import { bytes, flow, map, Merge, sink, source, Split } from 'millrace/flow'
import sharp from 'sharp'

const IMAGES = 40
const [WIDTH, HEIGHT] = [1280, 960]
const [SMALL_WIDTH, SMALL_HEIGHT] = [128, 96]
const CPUS = ['cpu0', 'cpu1']

process.argv[2] ??= `example-flow-thumbnails-${process.pid}`
const shm = ShmManager.open(process.argv[2])
const colorOf = (n: number) => ({ r: n * 6, g: 255 - n * 5, b: n })
const f = flow('thumbnails', shm, { threads: 1 })
const draw = f.add(
  source('draw', { out: bytes }, async function* () {
    for (let n = 0; n < IMAGES; n++) {
      yield await sharp({ create: { width: WIDTH, height: HEIGHT, channels: 3, background: colorOf(n) } })
        .png()
        .toBuffer()
    }
  }),
)
const split = f.add(new Split({ outputs: CPUS.length }))
const merge = f.add(new Merge({ inputs: CPUS.length }))
// A process that dies leaves its image to its successor.
const options = { capacity: 16, delivery: 'at-least-once' } as const
f.link(draw.out, split.in, options)
for (const [at, process] of CPUS.entries()) {
  const shrink = map('shrink', bytes, bytes, async (image) =>
    sharp(image).resize(SMALL_WIDTH, SMALL_HEIGHT).png().toBuffer(),
  )
  f.add(shrink, { name: `shrink${at}`, process })
  f.link(split.out[at]!, shrink.in, options).link(shrink.out, merge.in[at]!, options)
}
const seen = new Set<number>()
const check = f.add(
  sink('check', bytes, async (batch) => {
    for (const small of batch) {
      const { data, info } = await sharp(small).raw().toBuffer({ resolveWithObject: true })
      assert.deepEqual([info.width, info.height, info.channels], [SMALL_WIDTH, SMALL_HEIGHT, 3])
      const n = data[2]!
      assert.deepEqual([...data.subarray(0, 3)], Object.values(colorOf(n)))
      seen.add(n)
    }
  }),
)
f.link(merge.out, check.in, options)
const run = await f.start()
const isFirst = Object.keys(run.processes).length > 0
await run.done
if (isFirst) {
  assert.equal(seen.size, IMAGES)
  for (const { lastExit } of Object.values(run.processes)) assert.equal(lastExit!.code, 0)
  const used = shm.stats().pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0)
  assert.equal(used, 0, 'every buffer is back in its pool')
  console.log(
    `${IMAGES} images of ${WIDTH} x ${HEIGHT} became thumbnails in ${CPUS.length} processes, each in its color`,
  )
}
shm.close()
