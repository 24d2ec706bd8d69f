// Waiting costs nothing, and keeps a process alive only as long as somebody waits.
import test from 'ava'
import type { IdleArgs } from '../fixtures/idle.js'
import { testDomain } from '../helpers/domain.js'
import { startChild } from './children.js'

const MS = 2000
/** Less than one percent of a core. */
const MAX_CPU_MS = MS / 100

for (const waiting of ['nothing', 'message', 'space', 'message, blocking'] as const) {
  test.serial(`a process that waits for ${waiting} takes no CPU`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const child = await startChild(t, 'idle', { domain: domain.name, waiting, ms: MS } satisfies IdleArgs).started()
    const { cpuMs } = await child.hear<{ cpuMs: number }>()
    t.log(`${cpuMs} ms`)
    t.true(cpuMs < MAX_CPU_MS, `${cpuMs} ms`)
    await child.done()
    t.is(shm.registry.snapshot().participants.length, 1)
  })
}
