// Arrow tables from process to process: written once, read where they lie.
import test from 'ava'
import { arrowCodec } from '../../arrow.js'
import type { ArrowArgs, TableSeen } from '../fixtures/arrow-read.js'
import { ticks } from '../helpers/arrow.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { startChild } from './children.js'

test.serial('tables are read in another process without a copy, and their buffers come back', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('ticks', { codec: arrowCodec, capacity: 4 })
  const reader = startChild(t, 'arrow-read', { domain: domain.name, queue: 'ticks' } satisfies ArrowArgs)
  await reader.started()
  const sizes = [1, 1000, 100_000, 8, 50_000, 3]
  for (const rows of sizes) await queue.put(ticks(rows))
  queue.close()
  for (const rows of sizes) {
    const venues = new Set(Array.from({ length: Math.min(rows, 35) }, (_, i) => (i % 5 === 0 ? null : i % 7))).size
    const price = (rows * (rows - 1)) / 8
    t.deepEqual(await reader.hear<TableSeen>(), { rows, price, venues, inPlace: true })
  }
  await reader.done()
  t.is(buffersInUse(shm), 0)
})
