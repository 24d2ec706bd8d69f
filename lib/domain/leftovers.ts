import { existsSync, statfsSync } from 'node:fs'
import { MillraceError } from '../errors.js'
import { type DomainEntry, ShmObserver } from './observer.js'

/** Where the memory of domains is, on Linux: elsewhere nobody says how much there is. */
const SHM = '/dev/shm'
/** Of that memory, from where on it is worth a word. */
const MUCH = 0.25
const MIB = 2 ** 20

/** Directories that have been looked at. */
const seen = new Set<string>()
let isTold = false

/**
 * @internal Removes the domains in `directory` that nobody alive is in and nobody can go on with, when this process asks for the first
 * time. If those that are kept, or cannot be read, hold much of the memory a process warning says so, once.
 */
export function removeLeftovers(directory: string): void {
  if (seen.has(directory)) return
  seen.add(directory)
  // Later: whoever opens a domain does not wait for it.
  setImmediate(() => void lookAt(directory)).unref()
}

async function lookAt(directory: string): Promise<void> {
  const left: DomainEntry[] = []
  for (const entry of desertedIn(directory)) if (!(await isRemoved(entry, directory))) left.push(entry)
  if (!isTold) tell(left)
}

/** Domains that nobody alive is in. */
function desertedIn(directory: string): DomainEntry[] {
  try {
    return ShmObserver.list({ directory }).filter(({ alive }) => alive === 0)
  } catch (error) {
    if (error instanceof MillraceError) return []
    throw error
  }
}

/** Whether there is nothing left of it that somebody has to be told of. It is looked at again under the lock of the domain, so nobody who joins it loses anything. */
async function isRemoved(entry: DomainEntry, directory: string): Promise<boolean> {
  if (entry.error !== null || entry.persist || entry.workQueues > 0) return false
  try {
    // Whoever has the lock is about to join it, or to remove it.
    const { outcome } = await ShmObserver.remove(entry.domain, { directory, timeout: 0 })
    return outcome !== 'kept'
  } catch (error) {
    // Nobody has asked for this: whatever keeps it from being done, somebody else is told of.
    if (error instanceof MillraceError) return true
    throw error
  }
}

function tell(left: readonly DomainEntry[]): void {
  if (left.length === 0 || !existsSync(SHM)) return
  const held = left.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0), 0)
  const { bsize, blocks } = statfsSync(SHM)
  if (held <= bsize * blocks * MUCH) return
  isTold = true
  const names = left.map(({ domain }) => domain).join(', ')
  const message = `domains that nobody alive is in hold ${Math.round(held / MIB)} MiB of ${Math.round((bsize * blocks) / MIB)} MiB of ${SHM}: ${names}; they persist, have work queues or cannot be read: \`npx millrace doctor\` says what to do about each`
  process.emitWarning(message, { type: 'MillraceWarning', code: 'MILLRACE_LEFTOVERS' })
}
