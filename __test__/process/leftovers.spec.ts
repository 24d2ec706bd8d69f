// Whoever opens a domain is told once when what the dead have left takes much of the memory.
import test from 'ava'
import type { Told } from '../fixtures/leftovers.js'
import { inSmallMemory, runInSmallMemory, smallMemory } from '../helpers/small-memory.js'

test.beforeEach((t) => t.timeout(60_000))

inSmallMemory(smallMemory('more than a quarter of /dev/shm is worth a warning, which names the domains'), async (t) => {
  const { little, much } = await runInSmallMemory<Told>('64m', 'leftovers')
  t.is(little, '')
  const warnings = much.match(/\[MILLRACE_LEFTOVERS\] .*/g)!
  t.is(warnings.length, 1, 'once a process')
  t.regex(warnings[0], /hold 2\d MiB of 64 MiB of \/dev\/shm: dead-1, dead-2; `npx millrace clean` removes them$/)
})
