// A directory of domains of a test's own, for what looks at all domains at once.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { type OpenOptions, ShmManager, ShmObserver } from '../../index.js'
import { type Child, startChild } from '../process/children.js'
import type { HoldArgs } from '../fixtures/hold.js'
import { SHM } from '../../lib/testing/traces.js'
import { traceOf } from './domain.js'

/** The directory. When the test ends what is left in it is removed. */
export interface TestDirectory {
  readonly path: string
  /** Opens a manager in domain `name`; closed when the test ends. */
  open(name: string, options?: OpenOptions): ShmManager
  /** Starts a process that is in domain `name` and has taken all messages of `queue`. */
  start(name: string): Promise<Child>
  /** What there is of domain `name`: its files, and its memory, byte by byte. */
  contents(name: string): Record<string, string>
}

export function testDirectory(t: ExecutionContext): TestDirectory {
  // Where no inode comes again, by which memory is told to be a domain's.
  const path = mkdtempSync(join(existsSync(SHM) ? SHM : tmpdir(), 'millrace-test-'))
  const managers: ShmManager[] = []
  const children: Child[] = []
  t.timeout(60_000)
  t.teardown(async () => {
    for (const shm of managers) shm.close()
    for (const child of children) await child.kill()
    for (const { domain } of ShmObserver.list({ directory: path })) {
      await ShmObserver.remove(domain, { directory: path, kept: true })
    }
    rmSync(path, { recursive: true })
  })
  return {
    path,
    open(name, options = {}) {
      const shm = ShmManager.open(name, { directory: path, ...options })
      managers.push(shm)
      return shm
    },
    start(name) {
      const args = { domain: name, queue: 'queue' } satisfies HoldArgs
      const child = startChild(t, 'hold', args, { env: { ...process.env, MILLRACE_DIR: path } })
      children.push(child)
      return child.started()
    },
    contents(name) {
      const { directory, objects } = traceOf({ directory: join(path, name) })
      const files = readdirSync(directory).map((file) => join(directory, file))
      const shared = readdirSync('/dev/shm').filter((file) => file.startsWith(objects))
      const all = [...files, ...shared.map((file) => join('/dev/shm', file))]
      return Object.fromEntries(all.map((file) => [basename(file), contentOf(file)]))
    },
  }
}

function contentOf(file: string): string {
  // A doorbell cannot be read without taking what is in it.
  return statSync(file).isFile() ? readFileSync(file, 'latin1') : 'doorbell'
}
