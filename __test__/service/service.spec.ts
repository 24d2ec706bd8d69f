// A service as such: opening, serving, closing.
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import type { ServiceHandler } from '../../index.js'
import { STATUS_OK } from '../../lib/native/generated/codes.js'
import * as native from '../../lib/native/native.js'
import { buffersInUse, openNative, testDomain } from '../helpers/domain.js'
import { testMapped } from '../helpers/mapped.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { json, nothingLeft, pair } from '../helpers/service.js'
import { until } from '../process/children.js'

test('a participant may ask itself, and look after its neighbours while it waits', async (t) => {
  const service = testDomain(t).open().service<number, number>('self', json)
  const serving = service.serve(async (n) => {
    // Longer than from one such look to the next.
    await setTimeout(2500)
    return n + 1
  })
  t.is(await service.request(1), 2)
  service.close()
  await serving
})

test('a server that closes gives a request to another, if it may run again', async (t) => {
  const { domain, watcher, there, here, server, client } = pair<number, string>(t, json)
  let begun = 0
  const hang: ServiceHandler<number, string> = () => {
    begun++
    return new Promise(() => {})
  }
  const served = server.serve(hang)
  const [again, once] = [client.request(1, { retry: 1 }), client.request(2)]
  await until(() => begun === 2)
  const other = domain.open()
  there.close()
  await served
  await rejectsCode(t, once, 'ERR_MILLRACE_SERVER_LOST', 'may or may not')
  void other.service<number, string>('work', json).serve((n, { attempt }) => `${n} at attempt ${attempt}`)
  t.is(await again, '1 at attempt 2')
  nothingLeft(t, watcher, [other, here])
})

test('stopping to serve ends what was begun, and begins nothing', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  const stopping = new AbortController()
  let finish!: () => void
  let begun = 0
  const served = server.serve(
    async (n) => {
      begun++
      await new Promise<void>((resolve) => (finish = resolve))
      return n
    },
    { signal: stopping.signal },
  )
  const first = client.request(1)
  await until(() => begun === 1)
  stopping.abort()
  const second = client.request(2, { timeout: 20 })
  await rejectsCode(t, second, 'ERR_MILLRACE_TIMEOUT', 'will not be')
  finish()
  t.is(await first, 1)
  await served
  t.is(begun, 1)
  t.is(client.stats().servers, 0)
  void server.serve((n) => n)
  await rejectsCode(
    t,
    server.serve((n) => n),
    'ERR_MILLRACE_ROLE',
  )
  t.is(await client.request(3), 3)
  end()
})

test('closing ends requests; destroying ends everybody', async (t) => {
  const { domain, watcher, there, here, server, client } = pair<number, number>(t, json)
  const served = server.serve(() => new Promise<number>(() => {}))
  const pending = client.request(1)
  await until(() => server.stats().running === 1)
  client.close()
  await rejectsCode(t, pending, 'ERR_MILLRACE_CLOSED', 'service "work"')
  await rejectsCode(t, client.request(2), 'ERR_MILLRACE_CLOSED')
  const third = domain.open()
  const other = third.service<number, number>('work', json)
  const waiting = other.request(3)
  await until(() => server.stats().running === 2)
  const here2 = here.service('work', json)
  here2.destroy()
  await rejectsCode(t, waiting, 'ERR_MILLRACE_DESTROYED')
  await rejectsCode(t, served, 'ERR_MILLRACE_DESTROYED')
  for (const shm of [there, here, third]) shm.close()
  t.is(buffersInUse(watcher), 0)
  t.deepEqual(watcher.registry.snapshot().services, [])
})

testMapped('it works in guard mode', async (t) => {
  const domain = testDomain(t)
  const [watcher, there, here] = [domain.open(), domain.open({ guard: true }), domain.open({ guard: true })]
  const server = there.service('work')
  const client = here.service('work')
  void server.serve((request) => {
    request.bytes.reverse()
    return request
  })
  const reply = await client.request(Buffer.from('drawer'))
  t.is(reply.text(), 'reward')
  const { bytes } = reply
  reply.release()
  t.is(bytes.length, 0)
  nothingLeft(t, watcher, [there, here])
})

test('bad options are named', async (t) => {
  const { here, client, server } = pair<number, number>(t, json)
  throwsCode(t, () => here.service('x'.repeat(64)), 'ERR_MILLRACE_INVALID_NAME', '63')
  throwsCode(t, () => here.service('work', json), 'ERR_MILLRACE_INVALID_ARGUMENT', 'work')
  throwsCode(t, () => here.service('other', { inFlight: 0 }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'inFlight')
  throwsCode(t, () => client.stream(1, { window: 256 }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'window')
  await rejectsCode(t, client.request(1, { retry: -1 }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'retry')
  await rejectsCode(t, client.request(1, { timeout: -1 }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'timeout')
  await rejectsCode(t, server.serve(5 as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'handler')
  await rejectsCode(
    t,
    server.serve((n) => n, { concurrency: 0 }),
    'ERR_MILLRACE_INVALID_ARGUMENT',
    'concurrency',
  )
})

test('a message that is no request does no harm', async (t) => {
  const { domain, server, client, end } = pair<number, number>(t, json)
  void server.serve((n) => n)
  // By hand: no other queue of this package has the name of a service's.
  const stranger = openNative(domain)
  const requests = stranger.requests('work')
  native.allocate(stranger.handle, 1, 10)
  native.setId(0, native.idAt(0), 0)
  t.is(native.send(stranger.handle, requests, 1), STATUS_OK)
  stranger.close()
  t.is(await client.request(1), 1)
  t.is(server.stats().refused, 1)
  end()
})
