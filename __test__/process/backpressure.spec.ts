// Backpressure from end to end: a source in another process is asked for exactly what there is room for on the way.
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import type { SourceArgs } from '../fixtures/stream-source.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { type Child, startChild } from './children.js'

/** How many were drawn, once that does not change any more however often both event loops turn. */
async function drawnBy(child: Child, expected: number): Promise<number> {
  for (let same = 0; ;) {
    child.say('how many?')
    const drawn = await child.hear<number>()
    if (drawn > expected) return drawn
    same = drawn === expected ? same + 1 : 0
    if (same === 50) return drawn
    await setImmediate()
  }
}

/** What each way draws ahead of the queue: the value that waits for room; a web stream holds one more between its two ends. */
const AHEAD = { putFrom: 1, node: 1, bytes: 1, web: 2 } as const

for (const way of ['putFrom', 'node', 'bytes', 'web'] as const) {
  test.serial(`${way}: what is drawn is what is taken, what fits, and what waits`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const [capacity, ready, count] = [8, 4, 200]
    const queue = shm.portQueue('queue', { capacity })
    const source = startChild(t, 'stream-source', {
      domain: domain.name,
      queue: 'queue',
      way,
      count,
    } satisfies SourceArgs)
    await source.started()
    const most = capacity + AHEAD[way]
    t.is(await drawnBy(source, most), most)
    t.is((await queue.get())[0], 0)
    t.is(await drawnBy(source, most + 1), most + 1)
    // A stream that nobody reads on takes what it holds ready, and no more.
    const stream = queue.readable({ highWaterMark: ready })
    await new Promise((resolve) => stream.once('readable', resolve))
    t.is(await drawnBy(source, most + 1 + ready), most + 1 + ready)
    t.is(stream.readableLength, ready)
    t.is(queue.depth, capacity)
    let next = 1
    for await (const value of stream) t.is((value as Uint8Array)[0], next++ & 255)
    t.is(next, count)
    await source.done()
    t.is(buffersInUse(shm), 0)
  })
}
