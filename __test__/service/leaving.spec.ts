// Whoever leaves a stream frees its place at the server at once, whatever its source is waiting for.
import { EventEmitter, on, once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { buffersInUse } from '../helpers/domain.js'
import { json, pair } from '../helpers/service.js'
import { until } from '../process/children.js'

test('a source that waits for something else does not keep its place', async (t) => {
  const { server, client, end } = pair<'events' | 'ping', unknown>(t, json)
  const events = new EventEmitter().setMaxListeners(0)
  let ended = 0
  async function* source() {
    try {
      for await (const [event] of on(events, 'event')) yield event as number
    } finally {
      ended++
    }
  }
  void server.serve((what) => (what === 'ping' ? 'pong' : source()), { concurrency: 4 })
  for (let i = 0; i < 12; i++) {
    const replies = client.stream('events')
    const next = replies.next()
    await until(() => server.stats().running === 1)
    await replies.return!()
    t.deepEqual(await next, { value: undefined, done: true })
    await until(() => server.stats().running === 0)
  }
  t.is(await client.request('ping', { timeout: 5000 }), 'pong')
  // Its clean-up runs as soon as it comes to itself.
  t.is(ended, 0)
  events.emit('event', 1)
  await until(() => ended === 12)
  end()
})

function failing(): never {
  throw new Error('in the clean-up')
}

test('a source at rest cleans up at once; what that throws is nobody’s', async (t) => {
  const { watcher, server, client, end } = pair<number, number>(t, json)
  const ended: string[] = []
  void server.serve((which) => {
    const source = function* () {
      try {
        for (let i = 0; ; i++) yield i
      } finally {
        ended.push('sync')
        if (which === 1) failing()
      }
    }
    const later = async function* () {
      try {
        for (let i = 0; ; i++) yield i
      } finally {
        await sleep(1)
        ended.push('async')
        if (which === 1) failing()
      }
    }
    return which < 2 ? source() : later()
  })
  for (const which of [0, 1, 2]) {
    const replies = client.stream(which, { window: 2 })
    t.is((await replies.next()).value, 0)
    await replies.return!()
    await until(() => ended.length === which + 1)
  }
  t.deepEqual(ended, ['sync', 'sync', 'async'])
  await until(() => buffersInUse(watcher) === 0)
  end()
})

test('a stream that is left before the handler has made its source', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  let ended = 0
  let make!: () => void
  void server.serve(async () => {
    await new Promise<void>((resolve) => (make = resolve))
    const source = [1, 2, 3].values()
    return Object.assign(source, { return: () => (ended++, { value: undefined, done: true as const }) })
  })
  const replies = client.stream(0)
  const next = replies.next()
  await until(() => make !== undefined)
  await replies.return!()
  await next
  await until(() => server.stats().running === 0)
  make()
  await until(() => ended === 1)
  end()
})

test('buffers that come too late are given back', async (t) => {
  const { there, watcher, server, client, end } = pair(t, {})
  let give!: () => void
  void server.serve(async function* () {
    await new Promise<void>((resolve) => (give = resolve))
    yield there.allocate(10)
  })
  const replies = client.stream(Buffer.from('x'))
  const next = replies.next()
  await until(() => give !== undefined)
  await replies.return!()
  await next
  await until(() => server.stats().running === 0)
  give()
  await until(() => buffersInUse(watcher) === 0)
  end()
})

test('a client that closes its service, and stays, frees the places of its streams', async (t) => {
  const { here, watcher, server, client, end } = pair<number, number>(t, json)
  void server.serve(async function* () {
    for (let i = 0; ; i++) yield i
  })
  const replies = client.stream(0, { window: 1 })
  await replies.next()
  client.close()
  await until(() => server.stats().running === 0)
  await until(() => buffersInUse(watcher) === 0)
  t.false(here.closed)
  end()
})

test('a client that has been closed keeps nothing of a server that leaves later', async (t) => {
  const { watcher, there, server, client, end } = pair<null, unknown>(t, json)
  void server.serve((_, { signal }) => once(signal, 'abort'))
  const leaving = new AbortController()
  const asked = client.request(null, { signal: leaving.signal })
  await until(() => server.stats().running === 1)
  leaving.abort()
  await t.throwsAsync(asked, { any: true, name: 'AbortError' })
  await until(() => server.stats().running === 0)
  client.close()
  there.close()
  // At once: nobody hears of departures any more.
  t.is(buffersInUse(watcher), 0)
  end()
})
