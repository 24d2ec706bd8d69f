// Either side of filled buffers that go round: each looks at what comes and sends it on.
import { type BufferPtr, type PortQueue, ShmManager } from '../../index.js'
import { jobOf, ownUsage, serve } from '../lib/control.js'

/** What goes round. */
export interface HandoverJob {
  readonly folder: string
  readonly side: 'near' | 'far'
  readonly bytes: number
  readonly buffers: number
  /** Up to {@link TOGETHER} to a call; else one. */
  readonly batches: boolean
}

/** Few enough for both sides to have some in hand. */
const TOGETHER = 64

const { folder, side, bytes, buffers, batches } = jobOf<HandoverJob>()
// Waits poll before they sleep: a few buffers that go round would measure how long a wake takes.
const shm = ShmManager.open('handover', { directory: folder, maxBytes: 3 * 2 ** 30, spin: 200 })
const there = shm.portQueue('there', { capacity: Math.max(16, buffers) })
const back = shm.portQueue('back', { capacity: Math.max(16, buffers) })
let edges = 0

serve({ run, ready: () => true }, () => shm.close())
if (side === 'far') void pass(there, back)

/** Looks at both ends of each buffer and passes it on, for ever. */
async function pass(from: PortQueue, to: PortQueue): Promise<void> {
  try {
    if (batches) {
      for await (const batch of from.batches({ max: TOGETHER })) {
        for (const buffer of batch) look(buffer)
        to.sendMany([...batch])
      }
    } else {
      await from.consume((buffer) => {
        look(buffer)
        to.trySend(buffer)
      })
    }
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MILLRACE_CLOSED') throw error
  }
}

function look({ bytes: seen }: BufferPtr): void {
  edges += seen[0]! + seen[seen.length - 1]!
}

let circulating: BufferPtr[] | undefined

/** Sends buffers round for `ms`, and answers how often one was handed over, there or back, and at what price. */
async function run(ms: number): Promise<{ handedOver: number; seconds: number; cpuSeconds: number }> {
  circulating ??= Array.from({ length: buffers }, () => filled())
  gc?.()
  const { cpuSeconds } = ownUsage()
  const started = performance.now()
  const deadline = started + ms
  const home: BufferPtr[] = []
  let handedOver = there.sendMany(circulating)
  const arrive = (returned: readonly BufferPtr[]) => {
    for (const buffer of returned) look(buffer)
    handedOver += returned.length
    if (performance.now() < deadline) handedOver += there.sendMany(returned)
    else home.push(...returned)
  }
  // What comes home is kept beyond its turn, so it is received by hand.
  while (home.length < buffers) {
    const returned = batches ? back.receiveMany(TOGETHER) : single(back.tryReceive())
    arrive(returned.length > 0 ? returned : [await back.receive()])
  }
  circulating = home
  const seconds = (performance.now() - started) / 1e3
  return { handedOver, seconds, cpuSeconds: ownUsage().cpuSeconds - cpuSeconds }
}

function single(buffer: BufferPtr | null): BufferPtr[] {
  return buffer === null ? [] : [buffer]
}

function filled(): BufferPtr {
  const buffer = shm.allocate(bytes)
  buffer.bytes.fill(1)
  return buffer
}
