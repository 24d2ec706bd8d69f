// Nothing outlives a wait: the heap is flat over calls of every kind.
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import { type SageQueue, type WaitOptions } from '../../index.js'
import { collectGarbage } from '../helpers/gc.js'
import { openSage } from '../helpers/sage.js'

const CALLS = 2000
const WARM_UP = 10
// What the runtime itself adds now and then, hundreds of kilobytes, is to be little beside the bound times all calls.
const ROUNDS = 60
/** An object that is kept has 24 at least. */
const BYTES_A_CALL = 8

async function heapUsed(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    await setTimeout(5)
    collectGarbage()
  }
  return process.memoryUsage().heapUsed
}

/** Bytes that a call of `work` leaves on the heap. The first rounds fill caches. */
async function bytesLeft(work: () => Promise<unknown>, atOnce: number): Promise<number> {
  let before = 0
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    if (round === 0) before = await heapUsed()
    for (let i = 0; i < CALLS; i += atOnce) await Promise.all(Array.from({ length: atOnce }, work))
  }
  return ((await heapUsed()) - before) / (ROUNDS * CALLS)
}

const { signal } = new AbortController()
const KINDS: Record<string, (q: SageQueue<number>) => () => Promise<unknown>> = {
  'get before put': (q) => async () => {
    const got = q.get({ timeout: 60_000, signal })
    await q.put(1)
    q.taskDone(await got)
  },
  'put, get and taskDone': (q) => async () => {
    await q.put(1, { timeout: 60_000 })
    q.taskDone(await q.get({ timeout: 60_000 }))
  },
  'put on a full queue': (q) => {
    const options: WaitOptions = { timeout: 60_000, signal }
    for (let i = 0; i < q.maxsize; i++) q.putNowait(i)
    return async () => {
      const put = q.put(1, options)
      await q.get(options)
      q.taskDone()
      await put
    }
  },
  join: (q) => async () => {
    await q.put(1)
    const joined = q.join({ timeout: 60_000, signal })
    q.taskDone(await q.get())
    await joined
  },
  'waits whose time is over': (q) => () => q.get({ timeout: 0, signal }).catch(() => {}),
}

for (const [kind, make] of Object.entries(KINDS)) {
  test.serial(`${kind}: nothing stays on the heap`, async (t) => {
    const work = make(openSage<number>(t, { maxsize: 4 }))
    // What takes a timer's time is done many times at once.
    const left = await bytesLeft(work, kind.startsWith('waits') ? 100 : 1)
    t.true(left < BYTES_A_CALL, `${left.toFixed(1)} bytes a call`)
  })
}
