// Waiting costs nothing, and keeps a process alive only as long as somebody waits.
import test from 'ava'
import type { IdleArgs } from '../fixtures/idle.js'
import { testDomain } from '../helpers/domain.js'
import { startChild } from './children.js'

const MS = 2000
/** Whoever polls wakes up more often, all threads together: a blocked thread looks after itself ten times a second. */
const MAX_WAKEUPS = 50
/** Whoever spins takes more. What a wake-up takes is up to the machine: on one that is used by others as well, milliseconds. */
const MAX_CPU_MS = MS / 4

for (const waiting of ['nothing', 'message', 'space', 'message, blocking'] as const) {
  test.serial(`a process that waits for ${waiting} takes no CPU`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const child = await startChild(t, 'idle', { domain: domain.name, waiting, ms: MS } satisfies IdleArgs).started()
    const { wakeups, cpuMs } = await child.hear<{ wakeups: number; cpuMs: number }>()
    t.log(`${wakeups} times, ${cpuMs} ms`)
    t.true(wakeups < MAX_WAKEUPS && cpuMs < MAX_CPU_MS, `${wakeups} times, ${cpuMs} ms`)
    await child.done()
    t.is(shm.registry.snapshot().participants.length, 1)
  })
}
