// Times what it takes to get a buffer and to let it go.
import { ShmManager } from '../../index.js'
import { jobOf, serve } from '../lib/control.js'

const { directory, how, bytes } = jobOf<{ directory: string; how: string; bytes: number }>()
const shm = ShmManager.open('allocate', { directory, maxBytes: 2 ** 30 })
const BATCH = 256
let kept: unknown

const WAYS: Record<string, () => void> = {
  'Millrace, one by one'() {
    for (let i = 0; i < BATCH; i++) shm.allocate(bytes).release()
  },
  'Millrace, 256 together'() {
    for (const buffer of shm.allocateMany(bytes, BATCH)) buffer.release()
  },
  'new Uint8Array'() {
    for (let i = 0; i < BATCH; i++) kept = new Uint8Array(bytes)
  },
  'new SharedArrayBuffer'() {
    for (let i = 0; i < BATCH; i++) kept = new SharedArrayBuffer(bytes)
  },
}

serve({ run, kept: () => kept !== undefined }, () => shm.close())

/** ns for one buffer. */
function run(ms: number): number {
  const way = WAYS[how]!
  const started = performance.now()
  let count = 0
  while (performance.now() < started + ms) {
    way()
    count += BATCH
  }
  return ((performance.now() - started) * 1e6) / count
}
