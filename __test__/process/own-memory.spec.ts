// What becomes of those who wait for memory that they hold themselves: an error once nothing else goes on, and not before.

import test from 'ava'
import type { OwnMemoryArgs } from '../fixtures/own-memory.js'
import { testDomain } from '../helpers/domain.js'
import { startChild } from './children.js'

for (const worker of [false, true]) {
  test(`nothing else to do${worker ? ', in a worker thread' : ''}: told after two seconds, and refused`, async (t) => {
    const { name } = testDomain(t)
    const child = startChild(t, 'own-memory', { domain: name, besides: 'nothing', worker } satisfies OwnMemoryArgs)
    t.is(await child.hear(), 'MILLRACE_NO_MEMORY')
    t.is(await child.hear(), 'ERR_MILLRACE_EXHAUSTED')
    await child.done()
  })
}

test('something else to do, which releases: the wait goes on until then', async (t) => {
  const { name } = testDomain(t)
  const child = startChild(t, 'own-memory', { domain: name, besides: 'a timer' } satisfies OwnMemoryArgs)
  t.is(await child.hear(), 'MILLRACE_NO_MEMORY')
  t.is(await child.hear(), 'none')
  await child.done()
})

test('a message for somebody else, who comes and releases it: the wait goes on until then', async (t) => {
  const domain = testDomain(t)
  const child = startChild(t, 'own-memory', { domain: domain.name, besides: 'a message' } satisfies OwnMemoryArgs)
  t.is(await child.hear(), 'MILLRACE_NO_MEMORY')
  const shm = domain.open()
  const queue = shm.portQueue('queue')
  ;(await queue.receive()).release()
  t.is(await child.hear(), 'none')
  await child.done()
})
