// A full /dev/shm: errors that say how much is needed and what to do, and never a SIGBUS.
import type { ExecutionContext } from 'ava'
import type { Shortage } from '../fixtures/small-memory.js'
import { inSmallMemory, runInSmallMemory, smallMemory } from '../helpers/small-memory.js'

const title = (size: string) => smallMemory(`/dev/shm of ${size}`)
const run = (size: string) => runInSmallMemory<Shortage>(size, 'small-memory')

function isExplained(t: ExecutionContext, failure: Shortage['start']): void {
  t.is(failure?.code, 'ERR_MILLRACE_NO_SPACE')
  t.regex(failure!.message, /\/dev\/shm.* [0-9]+ .*--shm-size/)
}

for (const size of ['16k', '64k']) {
  inSmallMemory(title(size), async (t) => {
    t.timeout(30_000)
    const { start, left } = await run(size)
    isExplained(t, start)
    t.deepEqual(left, [])
  })
}

for (const size of ['1m', '4m', '16m']) {
  inSmallMemory(title(size), async (t) => {
    t.timeout(30_000)
    const { start, allocate, queue, batch, lost, puts, leaked, waited, works, left } = await run(size)
    t.is(start, undefined)
    isExplained(t, allocate)
    isExplained(t, queue)
    isExplained(t, batch)
    t.is(lost, 0, 'a batch that cannot be had takes nothing')
    isExplained(t, puts)
    t.is(leaked, 0, 'what putMany could not send is free')
    t.true(waited)
    t.true(works)
    t.deepEqual(left, [])
  })
}
