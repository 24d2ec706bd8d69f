import { closeSync, existsSync, lstatSync, openSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** @internal Where the system shows shared memory objects. */
export const SHM = '/dev/shm'

/** @internal Where a domain shows while it is open. */
export interface Trace {
  /** Its directory. */
  directory: string
  /** Start of the names of its shared memory objects. */
  objects: string
}

/** @internal Of the domain in `directory`, which exists. */
export function traceOf({ directory }: { directory: string }): Trace {
  const { uid, dev, ino } = lstatSync(directory)
  return { directory, objects: `millrace.${uid}.${dev.toString(16)}.${ino.toString(16)}.` }
}

/**
 * @internal Keeps `traces` theirs until the returned function is called. Objects are named after the inode of the directory, which a file
 * system like ext4 gives to the next one that is made, unless somebody has it open.
 */
export function keepTraces(traces: readonly Trace[]): () => void {
  if (!existsSync(SHM)) return () => {}
  const open = traces.map(({ directory }) => openSync(directory, 'r'))
  return () => open.forEach((fd) => closeSync(fd))
}

/** @internal What is left of a domain: paths of its directory, its lock, its shared memory objects, where the system shows those. */
export function leftovers({ directory, objects }: Trace): string[] {
  const files = [directory, join(dirname(directory), `.${basename(directory)}.lock`)].filter((path) => existsSync(path))
  const shared = existsSync(SHM) ? readdirSync(SHM).filter((name) => name.startsWith(objects)) : []
  return [...files, ...shared.map((name) => join(SHM, name))]
}

/** @internal Removes what is left of a domain that nobody is in any more. */
export function removeLeftovers(trace: Trace): void {
  // Again, if somebody who is still in it makes a file there at this moment.
  for (const path of leftovers(trace)) rmSync(path, { recursive: true, force: true, maxRetries: 20 })
}
