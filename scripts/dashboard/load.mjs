// What the dashboard is pictured with: a process of `npm run dashboard:pictures`, which names its part in it.
import { setInterval, setTimeout } from 'node:timers/promises'
import { SageQueue, ShmManager } from '../../dist/index.js'

const STEP_MS = 10

const [part] = process.argv.slice(2)
const shm = ShmManager.open('camera', { name: part })
const frames = shm.portQueue('frames', { capacity: 64 })
const faces = shm.portQueue('faces', { capacity: 32 })
const prices = shm.topic('prices', { history: 8 })
const service = shm.service('resize')

const PARTS = {
  /** Goes up and down, about every 20 s. */
  async reader() {
    for await (const _ of setInterval(STEP_MS)) {
      const count = 1 + Math.round(4 * (1 + Math.sin(Date.now() / 3000)))
      await frames.putMany(Array.from({ length: count }, () => Buffer.from('a frame')))
    }
  },
  async detector() {
    for await (const frame of frames) {
      frame.release()
      await faces.put(Buffer.from('a face'))
    }
  },
  /** Cannot keep up. */
  async archive() {
    for await (const face of faces) {
      face.release()
      await setTimeout(3)
    }
  },
  async market() {
    for await (const _ of setInterval(STEP_MS)) prices.tryPut(Buffer.from('a price'))
  },
  async trader() {
    for await (const price of prices.subscribe({ capacity: 16 })) price.release()
  },
  async shop() {
    const jobs = new SageQueue('jobs', { maxsize: 100 })
    for await (const _ of setInterval(STEP_MS * 5)) await jobs.put({ at: new Date() })
  },
  async worker() {
    const jobs = new SageQueue('jobs', { maxsize: 100 })
    for (;;) {
      await jobs.get()
      jobs.taskDone()
    }
  },
  server: () => service.serve((request) => request),
  async client() {
    for await (const _ of setInterval(STEP_MS)) {
      const reply = await service.request(Buffer.from('an image'))
      reply.release()
    }
  },
}
await PARTS[part]()
