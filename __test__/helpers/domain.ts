import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import type { OpenOptions, PortQueue, QueueOptions, ShmManager, WithCodec } from '../../index.js'
import { directoryIn } from '../../lib/domain/base-directory.js'
import { type BindingManager, NativeManager } from '../../lib/native/native.js'
import { SHM, type Trace } from '../../lib/testing/traces.js'
import { TestDomain as Isolated } from '../../testing.js'

export { leftovers, removeLeftovers, type Trace, traceOf } from '../../lib/testing/traces.js'

/** A domain of the test's own. When the test ends every manager is closed, and nothing of the domain may be left. */
export interface TestDomain {
  readonly name: string
  /** Opens a manager, which is one more participant. */
  open(options?: OpenOptions): ShmManager
}

/** In the directory where the programs of __test__/fixtures look for it. */
export function testDomain(t: ExecutionContext): TestDomain {
  const domain = new Isolated({ directory: directoryIn(process.env), track: false })
  t.timeout(30_000)
  t.teardown(() => domain.close())
  return domain
}

/**
 * A participant of a domain of the test's own by the addon itself, which is told the directory: on Bun it does not see what JavaScript changes in
 * the environment. Whoever opens it closes it.
 */
export function openNative(domain: TestDomain): BindingManager {
  return NativeManager.open(domain.name, { directory: directoryIn(process.env) })
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

/** Path of the shared memory object that is `segment` of a domain: its link in the domain's directory names it. Linux only. */
export function objectOf({ directory }: Pick<Trace, 'directory'>, segment: string): string {
  const [name] = readFileSync(join(directory, segment), 'utf8').split(' ')
  return join(SHM, name!)
}
