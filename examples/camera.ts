// Frames of a camera, 1920 × 1080 at 60 a second, go through three processes without a copy: this one makes and counts them, two others work
// on them. One of those is killed in between, and comes back. What was made has arrived, or is in the report of that death.
import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { type BufferPtr, ShmManager } from 'millrace'
import { buffers, flow, map, sink, source } from 'millrace/flow'

const FRAMES = 150
const KILL_AT = 60
const FRAME_MS = 1000 / 60
const [WIDTH, HEIGHT] = [1920, 1080]

// Every process of the flow runs this file, and has the same arguments.
process.argv[2] ??= `example-camera-${process.pid}`
const shm = ShmManager.open(process.argv[2], { maxBytes: '512MiB' })
const f = flow('camera', shm)
let made = 0
const camera = f.add(
  source('camera', { out: buffers }, async function* ({ signal }) {
    const start = performance.now()
    for (; made < FRAMES && !signal.aborted; made++) {
      await setTimeout(start + made * FRAME_MS - performance.now())
      const frame = await shm.allocateAsync(WIDTH * HEIGHT * 3)
      frame.sequence = BigInt(made)
      frame.bytes[0] = made
      yield frame
    }
  }),
)
const invert = f.add(map('invert', buffers, buffers, turn), { process: 'invert' })
const restore = f.add(map('restore', buffers, buffers, turn), { process: 'restore' })
const arrived: number[] = []
const screen = f.add(
  sink('screen', buffers, (frames) => {
    for (const { sequence, bytes } of frames) {
      assert.equal(bytes[0], Number(sequence), 'inverted twice')
      arrived.push(Number(sequence))
    }
  }),
)
const options = { capacity: 8 }
f.link(camera.out, invert.in, options).link(invert.out, restore.in, options).link(restore.out, screen.in, options)

/** In place: nobody else has the frame. The upper quarter will do here. */
function turn(frame: BufferPtr): BufferPtr {
  const words = frame.as(Uint32Array).subarray(0, (WIDTH * HEIGHT * 3) / 16)
  for (let i = 0; i < words.length; i++) words[i] = ~words[i]!
  return frame
}

const run = await f.start({ processes: { invert: { backoff: { initial: 0 } } } })
const { invert: victim } = run.processes
if (victim !== undefined) {
  // In the middle of its work.
  const held = () => shm.registry.snapshot().participants.find(({ pid }) => pid === victim.pid)?.held
  while (arrived.length < KILL_AT || held() === 0) await setTimeout(1)
  process.kill(victim.pid!, 'SIGKILL')
}
await run.done
if (victim !== undefined) {
  const { lost } = shm.registry.snapshot().recovered
  assert.equal(arrived.length + lost, made, 'delivered and reported lost is what was made')
  assert.deepEqual(
    arrived,
    arrived.toSorted((a, b) => a - b),
  )
  assert.equal(run.processes['invert']!.restarts, 1)
  const used = shm.stats().pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0)
  assert.equal(used, 0, 'every buffer is back in its pool')
  console.log(`${made} frames made, ${arrived.length} arrived, ${lost} lost with the process that was killed`)
}
shm.close()
