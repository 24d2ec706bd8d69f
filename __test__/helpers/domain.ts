import { existsSync, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { type OpenOptions, type QueueOptions, type PortQueue, ShmManager, type WithCodec } from '../../index.js'

const SHM = '/dev/shm'
let domains = 0

/** A domain of the test's own. When the test ends every manager is closed, and nothing of the domain may be left. */
export interface TestDomain {
  readonly name: string
  /** Opens a manager, which is one more participant. */
  open(options?: OpenOptions): ShmManager
}

/** Domain names carry process id and counter: tests of one or many processes cannot meet by accident. */
export function testDomain(t: ExecutionContext): TestDomain {
  const name = `ava-${process.pid}-${domains++}`
  const managers: ShmManager[] = []
  t.timeout(30_000)
  t.teardown(() => {
    const traces = managers.filter((shm) => !shm.closed).map(traceOf)
    for (const shm of managers) shm.close()
    const left = traces.flatMap(leftovers)
    if (left.length > 0) throw new Error(`test '${t.title}' left behind: ${left.join(', ')}`)
  })
  return {
    name,
    open(options) {
      const shm = ShmManager.open(name, options)
      managers.push(shm)
      return shm
    },
  }
}

/** One manager in a domain of the test's own. */
export function openDomain(t: ExecutionContext, options?: OpenOptions): ShmManager {
  return testDomain(t).open(options)
}

/** One manager and one queue in a domain of the test's own. */
export function openQueue<T = Uint8Array>(
  t: ExecutionContext,
  options: QueueOptions<T> = {},
  openOptions?: OpenOptions,
): { shm: ShmManager; queue: PortQueue<T> } {
  const shm = openDomain(t, openOptions)
  return { shm, queue: shm.portQueue<T>('queue', options as WithCodec<QueueOptions<T>, T>) }
}

/** Buffers of the domain that carry messages: queued, or held by somebody. */
export function buffersInUse(shm: ShmManager): number {
  return shm.stats().pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0)
}

/** Where a domain shows while it is open. */
export interface Trace {
  directory: string
  /** Start of the names of its shared memory objects. */
  objects: string
}

export function traceOf({ directory }: Pick<ShmManager, 'directory'>): Trace {
  const { uid, dev, ino } = lstatSync(directory)
  return { directory, objects: `millrace.${uid}.${dev.toString(16)}.${ino.toString(16)}.` }
}

/** Path of the shared memory object that is `segment` of a domain: its link in the domain's directory names it. Linux only. */
export function objectOf({ directory }: Pick<Trace, 'directory'>, segment: string): string {
  const [name] = readFileSync(join(directory, segment), 'utf8').split(' ')
  return join(SHM, name!)
}

/** What is left of a domain: paths of its directory, its lock, its shared memory objects. */
export function leftovers({ directory, objects }: Trace): string[] {
  const files = [directory, join(dirname(directory), `.${basename(directory)}.lock`)].filter((path) => existsSync(path))
  const shared = existsSync(SHM) ? readdirSync(SHM).filter((name) => name.startsWith(objects)) : []
  return [...files, ...shared.map((name) => join(SHM, name))]
}

/** Removes what is left of a domain that was meant to persist. */
export function removeLeftovers(trace: Trace): void {
  for (const path of leftovers(trace)) rmSync(path, { recursive: true })
}
