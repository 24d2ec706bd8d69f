import { existsSync, statfsSync } from 'node:fs'
import { MillraceError } from '../errors.js'
import { ShmObserver } from './observer.js'

/** Where the memory of domains is, on Linux: elsewhere nobody says how much there is. */
const SHM = '/dev/shm'
/** Of that memory, from where on it is worth a word. */
const MUCH = 0.25
const MIB = 2 ** 20

let isTold = false

/** @internal Tells once, by a process warning, when domains in `directory` that nobody can go on with hold much of the memory. */
export function tellOfLeftovers(directory: string): void {
  if (isTold || !existsSync(SHM)) return
  isTold = true
  // Later: whoever opens a domain does not wait for it.
  setImmediate(() => look(directory)).unref()
}

function look(directory: string): void {
  const left = abandonedIn(directory)
  const held = left.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0), 0)
  const { bsize, blocks } = statfsSync(SHM)
  if (held <= bsize * blocks * MUCH) return
  const names = left.map(({ domain }) => domain).join(', ')
  const message = `domains that nobody alive is in, and nobody can go on with, hold ${Math.round(held / MIB)} MiB of ${Math.round((bsize * blocks) / MIB)} MiB of ${SHM}: ${names}; \`npx millrace clean\` removes them`
  process.emitWarning(message, { type: 'MillraceWarning', code: 'MILLRACE_LEFTOVERS' })
}

function abandonedIn(directory: string) {
  try {
    return ShmObserver.list({ directory }).filter(
      (entry) => entry.error === null && entry.alive === 0 && !entry.persist && entry.workQueues === 0,
    )
  } catch (error) {
    // A hint: whatever keeps the directory from being read, somebody else is told of.
    if (error instanceof MillraceError) return []
    throw error
  }
}
