// Deadlines, signals, and how many requests are under way.
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import type { BufferPtr, MillraceError } from '../../index.js'
import { testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { json, nothingLeft, pair } from '../helpers/service.js'
import { until } from '../process/children.js'

test('without a server a request waits until its time is over, and says that there was none', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  await rejectsCode(
    t,
    client.request(1, { timeout: 20 }),
    'ERR_MILLRACE_TIMEOUT',
    'no server of service "work" was there',
  )
  const later = client.request(2)
  void server.serve((n) => n * 2)
  t.is(await later, 4)
  t.is(server.stats().expired + server.stats().cancelled, 1)
  t.is(server.stats().served, 1)
  end()
})

test('a request whose time is over before a server gets to it is not run', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  const run: number[] = []
  let finish!: () => void
  void server.serve(
    async (n) => {
      run.push(n)
      if (n === 1) await new Promise<void>((resolve) => (finish = resolve))
      return n
    },
    { concurrency: 1 },
  )
  const first = client.request(1)
  await until(() => run.length === 1)
  await rejectsCode(t, client.request(2, { timeout: 20 }), 'ERR_MILLRACE_TIMEOUT', 'servers of', '(1)', 'will not be')
  finish()
  t.is(await first, 1)
  t.is(await client.request(3), 3)
  t.deepEqual(run, [1, 3])
  t.is(server.stats().expired + server.stats().cancelled, 1)
  end()
})

test.serial('the deadline reaches the handler, whose signal aborts at it', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  const reasons: unknown[] = []
  void server.serve(async (_, context) => {
    t.true(context.timeLeft > 0 && context.timeLeft <= 1000)
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve))
    reasons.push(context.signal.reason)
    return 1
  })
  await rejectsCode(t, client.request(1, { timeout: 1000 }), 'ERR_MILLRACE_TIMEOUT', 'has begun to run')
  await until(() => reasons.length === 1)
  t.is((reasons[0] as MillraceError).code, 'ERR_MILLRACE_TIMEOUT')
  await until(() => server.stats().served === 1)
  end()
})

test('the signal of a client reaches the handler; a request still queued is not run', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  const run: number[] = []
  let reason: unknown
  void server.serve(
    async (n, { signal }) => {
      run.push(n)
      if (n === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve))
      reason ??= signal.reason
      return n
    },
    { concurrency: 1 },
  )
  const ending = new AbortController()
  const first = client.request(1, { signal: ending.signal })
  await until(() => run.length === 1)
  const second = new AbortController()
  const queued = client.request(2, { signal: second.signal })
  second.abort(new Error('not any more'))
  await t.throwsAsync(queued, { message: 'not any more' })
  ending.abort(new Error('enough'))
  await t.throwsAsync(first, { message: 'enough' })
  t.is(await client.request(3), 3)
  t.deepEqual(run, [1, 3])
  t.is((reason as Error).name, 'AbortError')
  t.is(server.stats().cancelled, 1)
  t.is(client.stats().aborted, 2)
  end()
})

test('no more than inFlight requests are under way, no more than concurrency are run', async (t) => {
  const { server, client, end } = pair<number, number>(t, { ...json, inFlight: 8 })
  let running = 0
  let most = 0
  void server.serve(
    async (n) => {
      most = Math.max(most, ++running)
      t.true(client.stats().pending <= 8)
      await setImmediate()
      running--
      return n
    },
    { concurrency: 3 },
  )
  const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => client.request(i)))
  t.deepEqual(
    replies,
    Array.from({ length: 100 }, (_, i) => i),
  )
  t.is(most, 3)
  end()
})

test('waiting for a turn ends with the timeout or the signal', async (t) => {
  const { server, client, end } = pair<number, number>(t, { ...json, inFlight: 1 })
  const ending = new AbortController()
  const first = client.request(1, { signal: ending.signal })
  await rejectsCode(t, client.request(2, { timeout: 10 }), 'ERR_MILLRACE_TIMEOUT', 'already in flight')
  const signal = AbortSignal.timeout(10)
  await t.throwsAsync(client.request(3, { signal }), { any: true, name: 'TimeoutError' })
  ending.abort()
  await t.throwsAsync(first, { any: true, name: 'AbortError' })
  t.is(client.stats().pending, 0)
  // It stays in the queue until a server finds that nobody wants it any more.
  t.is(client.stats().queued, 1)
  void server.serve((n) => n)
  t.is(await client.request(4), 4)
  t.is(server.stats().cancelled, 1)
  end()
})

test('requests wait while the queue is full, and end there', async (t) => {
  const { server, client, end } = pair<number, number>(t, { ...json, capacity: 2 })
  const requests = Array.from({ length: 5 }, (_, i) => client.request(i))
  await rejectsCode(t, client.request(9, { timeout: 20 }), 'ERR_MILLRACE_TIMEOUT', 'no server')
  t.is(client.stats().queued, 2)
  void server.serve((n) => n + 1)
  t.deepEqual(await Promise.all(requests), [1, 2, 3, 4, 5])
  t.is(server.stats().served, 5)
  end()
})

test('the pool is exhausted: requests fail or wait, replies wait', async (t) => {
  const domain = testDomain(t)
  const there = domain.open({ maxBytes: '4MiB' })
  const here = domain.open()
  const server = there.service<number, string>('work', json)
  const client = here.service<number, string>('work', json)
  void server.serve((n) => 'x'.repeat(n))
  t.is((await client.request(10)).length, 10)
  const held: BufferPtr[] = []
  for (;;) {
    try {
      held.push(there.allocate(200))
    } catch {
      break
    }
  }
  const request = client.request(20)
  await rejectsCode(t, client.request(1, { timeout: 10 }), 'ERR_MILLRACE_TIMEOUT', 'no buffer')
  held.pop()!.release()
  // The request took that buffer: its reply waits for the next.
  await until(() => server.stats().running === 1)
  for (const buffer of held) buffer.release()
  t.is((await request).length, 20)
  nothingLeft(t, domain.open(), [there, here])
})

test('a reply that waits for memory is copied, and counted, once', async (t) => {
  const domain = testDomain(t)
  const [there, here] = [domain.open({ maxBytes: '4MiB' }), domain.open()]
  const server = there.service<BufferPtr, BufferPtr>('work', {})
  const client = here.service<BufferPtr, BufferPtr>('work', {})
  const tile = there.allocate(200)
  void server.serve(() => tile.share())
  ;(await client.request(here.allocate(8))).release()
  t.is(server.stats().copied, 1)
  const question = here.allocate(8)
  const held: BufferPtr[] = []
  for (let buffer = there.tryAllocate(200); buffer !== null; buffer = there.tryAllocate(200)) held.push(buffer)
  const request = client.request(question)
  await until(() => server.stats().running === 1)
  t.is(server.stats().copied, 1, 'nothing has been copied yet')
  for (const buffer of held) buffer.release()
  ;(await request).release()
  t.is(server.stats().copied, 2)
  tile.release()
  nothingLeft(t, domain.open(), [there, here])
})

test('closing ends requests that wait for their turn, or for a buffer', async (t) => {
  const { watcher, there, here, server, client } = pair<BufferPtr, BufferPtr>(t, { inFlight: 1 })
  const requests = ['a', 'b', 'c'].map((text) => client.request(Buffer.from(text)))
  requests.push(client.request(here.allocate(5)))
  client.close()
  for (const request of requests) await rejectsCode(t, request, 'ERR_MILLRACE_CLOSED')
  const again = here.service('work')
  await rejectsCode(t, again.request(Buffer.from('d'), { timeout: 5 }), 'ERR_MILLRACE_TIMEOUT')
  void server.serve((request) => request)
  ;(await again.request(Buffer.from('e'))).release()
  t.is(server.stats().cancelled + server.stats().expired, 2)
  nothingLeft(t, watcher, [there, here])
})
