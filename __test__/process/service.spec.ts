// Services between real processes and worker threads: exact accounts, deaths on either side, nothing left.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import type { Service, ShmManager } from '../../index.js'
import type { Job, Result, ServiceArgs } from '../fixtures/service.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { type Child, Deaths, startChild, until } from './children.js'

const KILLS = 15

function open(t: ExecutionContext) {
  const domain = testDomain(t)
  t.timeout(110_000)
  const shm = domain.open()
  const work = shm.service<Job, Result>('work', { codec: 'json' })
  const start = (role: ServiceArgs['role'], args: Partial<ServiceArgs> = {}) =>
    startChild(t, 'service', { domain: domain.name, role, ...args } satisfies ServiceArgs)
  const thread = async (role: ServiceArgs['role']) => {
    const workerArgs: ServiceArgs = { domain: domain.name, role }
    const worker = new Worker(new URL('../fixtures/service.js', import.meta.url), { workerData: workerArgs })
    t.teardown(() => worker.terminate())
    await once(worker, 'message')
    return worker
  }
  return { domain, shm, work, start, thread }
}

/** Asks all servers to stop. Returns how many squares each has made. */
async function stop(work: Service<Job, Result>, servers: Child[]): Promise<number[]> {
  const stopped = await Promise.all(servers.map(() => work.request({ do: 'stop', n: 0 })))
  const told = await Promise.all(servers.map((server) => server.hear<{ squares: number; left: number }>()))
  await Promise.all(servers.map((server) => server.done()))
  if (new Set(stopped.map(({ pid }) => pid)).size !== servers.length) throw new Error('one server stopped twice')
  return told.map(({ squares }) => squares)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : 1
}

/** Mailboxes of the service. */
function mailboxes(shm: ShmManager): string[] {
  const all = shm.registry.snapshot().services.flatMap((service) => service.mailboxes)
  return all.map(({ role, participant }) => `${role} ${participant}`)
}

function nothingLeft(t: ExecutionContext, shm: ShmManager, work: Service<Job, Result>): void {
  work.close()
  t.is(buffersInUse(shm), 0)
  t.deepEqual(mailboxes(shm), [])
}

test.serial('many clients and many servers: each request is run once and answered once', async (t) => {
  const { shm, work, start } = open(t)
  const servers = [start('serve'), start('serve'), start('serve')]
  const clients = [1, 16, 256].map((atOnce) => start('ask', { requests: 2000, atOnce }))
  for (const child of [...servers, ...clients]) await child.started()
  for (const client of clients) {
    t.deepEqual(await client.hear(), { right: 2000 })
    await client.done()
  }
  const squares = await stop(work, servers)
  t.is(
    squares.reduce((sum, n) => sum + n, 0),
    6000,
  )
  nothingLeft(t, shm, work)
})

test.serial('a server is killed while it runs a request: the client is told, or another server runs it', async (t) => {
  const { shm, work, start } = open(t)
  const deaths = new Deaths(shm)
  const first = await start('serve').started()
  const unique = work.request({ do: 'hang', n: 1 })
  t.is(await first.hear(), 'begun')
  const again = work.request({ do: 'hang', n: 2 }, { retry: 1 })
  t.is(await first.hear(), 'begun')
  await first.kill()
  // Nobody serves any more: the client knows all the same.
  await rejectsCode(t, unique, 'ERR_MILLRACE_SERVER_LOST', 'service "work"', `(process ${first.pid}), is gone`)
  await deaths.of(first)
  const second = await start('serve').started()
  t.is(await second.hear(), 'begun')
  await second.kill()
  await rejectsCode(t, again, 'ERR_MILLRACE_SERVER_LOST')
  await deaths.of(second)

  // A request that was not begun is not lost: it waits for the next server.
  const square = work.request({ do: 'square', n: 3 })
  const third = await start('serve').started()
  t.deepEqual(await square, { n: 9, pid: third.pid, attempt: 1 })
  // What nobody wants any more has not been run: the second run of request 1 and the third of request 2.
  await stop(work, [third])
  nothingLeft(t, shm, work)
})

test.serial('servers are killed under load: every request is answered, none twice', async (t) => {
  const { shm, work, start } = open(t)
  const deaths = new Deaths(shm)
  const servers = [await start('serve').started(), await start('serve').started()]
  let next = 0
  let answered = 0
  const ending = new AbortController()
  const attempts = new Map<number, number>()
  const lane = async () => {
    while (!ending.signal.aborted) {
      const n = next++
      const result = await work.request({ do: 'square', n }, { retry: 10 })
      if (result.n !== n ** 2) throw new Error(`${n} squared is not ${result.n}`)
      attempts.set(result.attempt, (attempts.get(result.attempt) ?? 0) + 1)
      answered++
    }
  }
  const lanes = Array.from({ length: 32 }, lane)
  for (let kill = 0; kill < KILLS; kill++) {
    const from = answered
    await until(() => answered > from + 1 + Math.random() * 2000)
    const victim = servers.shift()!
    await victim.kill()
    await deaths.of(victim)
    servers.push(await start('serve').started())
  }
  ending.abort()
  await Promise.all(lanes)
  t.is(answered, next)
  const { requested, failed, timedOut, aborted, pending } = work.stats()
  t.deepEqual(
    { requested, failed, timedOut, aborted, pending },
    { requested: next, failed: 0, timedOut: 0, aborted: 0, pending: 0 },
  )
  t.log(`${answered} answered, by attempt`, Object.fromEntries(attempts))
  await stop(work, servers)
  t.is(shm.registry.snapshot().recoveries, KILLS)
  nothingLeft(t, shm, work)
})

test.serial('a server is killed in the middle of a stream', async (t) => {
  const { shm, work, start } = open(t)
  const servers = [await start('serve').started(), await start('serve').started()]
  let taken = 0
  await rejectsCode(
    t,
    (async () => {
      for await (const { n, pid } of work.stream({ do: 'count', n: 1_000_000 }, { retry: 5 })) {
        t.is(n, taken++)
        if (taken !== 100) continue
        const victim = servers.findIndex((server) => server.pid === pid)
        await servers.splice(victim, 1)[0]!.kill()
      }
    })(),
    'ERR_MILLRACE_SERVER_LOST',
  )
  // Items that had come before the death are delivered before it is told.
  t.true(taken >= 100 && taken <= 100 + 16 * 2, `${taken}`)
  t.is(work.stats().pending, 0)
  await stop(work, servers)
  nothingLeft(t, shm, work)
})

test.serial('a client is killed: the server hears of it, in handlers and generators', async (t) => {
  const { shm, work, start } = open(t)
  const server = await start('serve').started()
  const client = start('hang')
  t.is(await server.hear(), 'watching')
  await client.started()
  await client.kill()
  t.deepEqual([await server.hear<string>(), await server.hear<string>()].toSorted(compare), [
    'count ended',
    'watch ended',
  ])
  await stop(work, [server])
  nothingLeft(t, shm, work)
})

test.serial('cancellation and deadline reach another process', async (t) => {
  const { shm, work, start } = open(t)
  const server = await start('serve').started()
  const ending = new AbortController()
  const cancelled = work.request({ do: 'watch', n: 1 }, { signal: ending.signal })
  t.is(await server.hear(), 'watching')
  ending.abort(new Error('enough'))
  await t.throwsAsync(cancelled, { message: 'enough' })
  t.is(await server.hear(), 'watch ended')
  const late = work.request({ do: 'watch', n: 1 }, { timeout: 1000 })
  t.is(await server.hear(), 'watching')
  await rejectsCode(t, late, 'ERR_MILLRACE_TIMEOUT', 'has begun to run')
  t.is(await server.hear(), 'watch ended')
  for await (const { n } of work.stream({ do: 'count', n: 1000 })) if (n === 5) break
  t.is(await server.hear(), 'count ended')
  await stop(work, [server])
  nothingLeft(t, shm, work)
})

test.serial('a client that is stopped holds up nobody else', async (t) => {
  const { shm, work, start } = open(t)
  const server = await start('serve').started()
  const asker = await start('ask', { requests: 100_000, atOnce: 256 }).started()
  await until(() => shm.registry.snapshot().services[0]!.requests!.sent > 1000)
  asker.signal('SIGSTOP')
  for (let n = 0; n < 1000; n++) t.is((await work.request({ do: 'square', n })).n, n ** 2)
  asker.signal('SIGCONT')
  await asker.kill()
  await until(() => mailboxes(shm).length === 2)
  await stop(work, [server])
  nothingLeft(t, shm, work)
})

test.serial('a process that exits without closing leaves no mailbox', async (t) => {
  const { shm, work, start } = open(t)
  const server = await start('serve').started()
  const client = start('abandon')
  await client.started()
  await client.done()
  t.is(mailboxes(shm).length, 1)
  await stop(work, [server])
  nothingLeft(t, shm, work)
})

test.serial('worker threads: served by one, which is terminated while it runs a request', async (t) => {
  const { shm, work, start, thread } = open(t)
  const first = await thread('serve')
  t.deepEqual(await work.request({ do: 'square', n: 5 }), { n: 25, pid: process.pid, attempt: 1 })
  const begun = once(first, 'message')
  const again = work.request({ do: 'hang', n: 1 }, { retry: 1 })
  await begun
  const second = await thread('serve')
  const rerun = once(second, 'message')
  await first.terminate()
  t.deepEqual(await rerun, ['begun'])
  // That was not a death, so nobody reports it: peers find it when they look.
  const looked = rejectsCode(t, again, 'ERR_MILLRACE_SERVER_LOST')
  await second.terminate()
  await looked
  // It is in the queue again, and nobody wants it.
  t.is(work.stats().queued, 1)
  await stop(work, [await start('serve').started()])
  nothingLeft(t, shm, work)
})

test.serial('worker threads: a client is terminated, and its server finds out', async (t) => {
  const { shm, work, start, thread } = open(t)
  const server = await start('serve').started()
  const client = await thread('hang')
  t.is(await server.hear(), 'watching')
  await client.terminate()
  t.deepEqual([await server.hear<string>(), await server.hear<string>()].toSorted(compare), [
    'count ended',
    'watch ended',
  ])
  await stop(work, [server])
  nothingLeft(t, shm, work)
})
