import type { ExecutionContext } from 'ava'
import type { Service, ServiceCodecs, ServiceOptions, ShmManager } from '../../index.js'
import { buffersInUse, type TestDomain, testDomain } from './domain.js'

/** A server and a client of service `work`. */
export interface Pair<Req, Res> {
  domain: TestDomain
  watcher: ShmManager
  there: ShmManager
  here: ShmManager
  server: Service<Req, Res>
  client: Service<Req, Res>
  /** Closes both, after which nothing may be left. */
  end: () => void
}

/** A server and a client, two participants of a domain of the test's own. */
export function pair<Req, Res>(
  t: ExecutionContext,
  options: ServiceOptions<Req, Res> & ServiceCodecs<Req, Res>,
): Pair<Req, Res> {
  const domain = testDomain(t)
  const [watcher, there, here] = [domain.open(), domain.open(), domain.open()]
  const server = there.service<Req, Res>('work', options)
  const client = here.service<Req, Res>('work', options)
  return { domain, watcher, there, here, server, client, end: () => nothingLeft(t, watcher, [there, here]) }
}

/** Closes `managers`, after which `watcher` sees no buffer in use and no mailbox. */
export function nothingLeft(t: ExecutionContext, watcher: ShmManager, managers: ShmManager[]): void {
  for (const shm of managers) shm.close()
  t.is(buffersInUse(watcher), 0)
  const { queues, services } = watcher.registry.snapshot()
  t.deepEqual(queues, [])
  t.deepEqual(
    services.map(({ name, mailboxes }) => [name, mailboxes.length]),
    [['work', 0]],
  )
}

export const json = { codec: 'json' } as const
