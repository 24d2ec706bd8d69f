import test from 'ava'
import type { ManyArgs } from '../fixtures/many.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { takeAll } from '../helpers/pool.js'
import { startChild } from './children.js'

const MIB = 2 ** 20

test('processes that all want most of the pool come to an end', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open({ maxBytes: '16MiB' })
  const all = takeAll(shm, MIB)
  const count = Math.ceil(all.length * 0.75)
  const args: ManyArgs = { domain: domain.name, bytes: MIB, count, rounds: 200 }
  const children = [1, 2, 3].map(() => startChild(t, 'many', args))
  await Promise.all(children.map((child) => child.started()))
  // One by one: they wait for all of theirs, and keep none meanwhile.
  for (const [i, buffer] of all.entries()) {
    buffer.release()
    if (i + 1 < count) t.true(buffersInUse(shm) >= all.length - i - 1)
  }
  for (let took = 0; took < 200; took++) (await shm.allocateAsync(MIB)).release()
  await Promise.all(children.map((child) => child.done()))
  t.is(buffersInUse(shm), 0)
})

test('what somebody wanted who was killed while it waited is free', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open({ maxBytes: '16MiB' })
  const all = takeAll(shm, MIB)
  const args: ManyArgs = { domain: domain.name, bytes: MIB, count: all.length, rounds: 1 }
  const child = await startChild(t, 'many', args).started()
  all.pop()!.release()
  await child.kill()
  for (const buffer of all.splice(0)) buffer.release()
  const again = await shm.allocateManyAsync(MIB, args.count)
  t.is(buffersInUse(shm), args.count)
  for (const buffer of again) buffer.release()
})
