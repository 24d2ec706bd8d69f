import { setImmediate, setTimeout } from 'node:timers/promises'
import test from 'ava'
import {
  type BufferPtr,
  MillraceError,
  type ServiceHandler,
} from '../../index.js'
import { STATUS_OK } from '../../lib/native/generated/codes.js'
import * as native from '../../lib/native/native.js'
import { NativeManager } from '../../lib/native/native.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
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

test('values go there and back', async (t) => {
  const { server, client, end } = pair<{ a: number; b: number }, number>(t, json)
  void server.serve(({ a, b }) => a + b)
  t.is(await client.request({ a: 2, b: 3 }), 5)
  const sums = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.request({ a: i, b: 1 })))
  t.deepEqual(
    sums,
    Array.from({ length: 1000 }, (_, i) => i + 1),
  )
  const { requested, pending, failed, timedOut, aborted, servers, queued } = client.stats()
  t.deepEqual(
    { requested, pending, failed, timedOut, aborted, servers, queued },
    { requested: 1001, pending: 0, failed: 0, timedOut: 0, aborted: 0, servers: 1, queued: 0 },
  )
  t.is(server.stats().served, 1001)
  t.is(server.stats().running, 0)
  end()
})

test('a buffer is not copied: what the server answers is what the client sent', async (t) => {
  const { here, server, client, end } = pair<BufferPtr, BufferPtr>(t, {})
  void server.serve((request) => {
    request.bytes[1] = 2
    return request
  })
  const buffer = here.allocate(4096)
  buffer.bytes[0] = 1
  buffer.typeId = 7
  const place = buffer.bytes.byteOffset
  const reply = await client.request(buffer)
  t.true(buffer.released)
  t.is(reply.bytes.byteOffset, place)
  t.deepEqual([...reply.bytes.subarray(0, 2)], [1, 2])
  t.is(reply.typeId, 7)
  t.is(server.stats().copied + client.stats().copied, 0)
  reply.release()
  end()
})

test('a buffer that others refer to is copied, with its time and type', async (t) => {
  const { there, here, server, client, end } = pair<BufferPtr, BufferPtr>(t, {})
  const tile = there.allocate(100)
  tile.bytes.fill(9)
  tile.timestamp = 5n
  tile.typeId = 3
  void server.serve((request) => {
    t.is(request.text(), 'which')
    return tile.share()
  })
  const replies = await Promise.all(Array.from({ length: 50 }, () => client.request(Buffer.from('which'))))
  for (const reply of replies) {
    t.deepEqual(
      [...reply.bytes],
      Array.from({ length: 100 }, () => 9),
    )
    t.is(reply.timestamp, 5n)
    t.is(reply.typeId, 3)
    reply.release()
  }
  t.is(server.stats().copied, 50)
  const shared = here.allocate(8)
  const kept = shared.share()
  ;(await client.request(Buffer.from('which'))).release()
  t.is(client.stats().copied, 0)
  kept.release()
  shared.release()
  tile.release()
  end()
})

test('a buffer is taken over at once, even by a request that waits for its turn', async (t) => {
  const { here, server, client, end } = pair<BufferPtr, BufferPtr>(t, { inFlight: 1 })
  const letters = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const replies = letters.map((letter) => {
    using buffer = here.allocate(1)
    buffer.bytes[0] = letter.charCodeAt(0)
    return client.request(buffer)
  })
  void server.serve((request) => request)
  for (const [i, reply] of (await Promise.all(replies)).entries()) {
    t.is(reply.text(), letters[i]!)
    reply.release()
  }
  t.is(client.stats().copied + server.stats().copied, 0)
  end()
})

test('codecs for each direction; a buffer passes as it is', async (t) => {
  const { there, server, client, end } = pair<{ size: number }, BufferPtr>(t, { codec: 'json', replyCodec: 'buffer' })
  void server.serve(({ size }) => {
    const reply = there.allocate(size)
    reply.bytes.fill(size)
    return reply
  })
  using reply = await client.request({ size: 77 })
  t.deepEqual(reply.bytes, new Uint8Array(77).fill(77))
  reply.release()
  end()
})

test('a service of other codecs is an error that names both', (t) => {
  const { domain } = pair(t, json)
  throwsCode(
    t,
    () => domain.open().service('work', { codec: 'v8', replyCodec: 'json' }),
    'ERR_MILLRACE_OPTIONS_MISMATCH',
    '"json"',
    '"v8>json"',
  )
})

class Odd extends Error {
  override name = 'OddError'
  code = 'E_ODD'
}

test('what a handler throws arrives as it was', async (t) => {
  const throwers: Record<string, () => never> = {
    type() {
      throw new TypeError('wrong', { cause: new RangeError('inner', { cause: { detail: 1 } }) })
    },
    odd() {
      throw new Odd('strange')
    },
    text() {
      throw 'just text'
    },
    own() {
      throw new MillraceError('ERR_MILLRACE_FULL', 'no room')
    },
    uncloneable() {
      throw new Error('holds', { cause: () => 1 })
    },
  }
  const { there, server, client, end } = pair<string, string>(t, json)
  void server.serve((which) => throwers[which]!())
  const type = await t.throwsAsync(client.request('type'), { instanceOf: TypeError, message: 'wrong' })
  const inner = type.cause as Error
  t.true(inner instanceof RangeError)
  t.is(inner.message, 'inner')
  t.deepEqual(inner.cause, { detail: 1 })
  t.is((type as Error & { remote?: string }).remote, `service 'work', participant ${there.participant}`)
  t.regex(type.stack!, /^TypeError: wrong\n.*service\.spec[^]*\[remote: service 'work'/)
  const odd = await t.throwsAsync(client.request('odd'), { name: 'OddError', message: 'strange', code: 'E_ODD' })
  t.true(odd instanceof Error)
  await rejectsCode(t, client.request('text'), 'ERR_MILLRACE_REMOTE', '"just text"')
  t.is((await t.throwsAsync(client.request('text'))).cause, 'just text')
  await rejectsCode(t, client.request('own'), 'ERR_MILLRACE_FULL', 'no room')
  t.is((await t.throwsAsync(client.request('uncloneable'))).cause, 'a function')
  t.is(client.stats().failed, 6)
  t.is(server.stats().threw, 6)
  end()
})

test('a rejection, and a value that cannot be encoded, arrive as errors', async (t) => {
  const { server, client, end } = pair<boolean, unknown>(t, json)
  void server.serve(async (reject) => {
    await setImmediate()
    if (reject) throw new SyntaxError('later')
    return undefined
  })
  await t.throwsAsync(client.request(true), { instanceOf: SyntaxError, message: 'later' })
  await rejectsCode(t, client.request(false), 'ERR_MILLRACE_INVALID_ARGUMENT', "codec 'json'")
  end()
})

test('without a server a request waits until its time is over, and says that there was none', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  await rejectsCode(
    t,
    client.request(1, { timeout: 20 }),
    'ERR_MILLRACE_TIMEOUT',
    "no server of service 'work' was there",
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

test('a stream arrives in order, no further ahead than its window', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  let made = 0
  void server.serve(async function* (count) {
    for (; made < count; made++) yield made
  })
  let taken = 0
  for await (const value of client.stream(1000, { window: 4 })) {
    t.is(value, taken++)
    // What waits, what is in the hand, and what the generator has begun.
    t.true(made - taken <= 5, `${made} made, ${taken} taken`)
  }
  t.is(taken, 1000)
  t.is(made, 1000)
  await until(() => server.stats().served === 1)
  end()
})

test('leaving the loop ends the generator', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  let ended = 0
  void server.serve(async function* (_, { signal }) {
    try {
      for (let i = 0; ; i++) yield i
    } finally {
      t.true(signal.aborted)
      ended++
    }
  })
  for await (const value of client.stream(0, { window: 8 })) if (value === 3) break
  await until(() => ended === 1)
  await t.throwsAsync(
    async () => {
      for await (const value of client.stream(0)) if (value === 20) throw new Error('mine')
    },
    { message: 'mine' },
  )
  await until(() => ended === 2)
  t.is(client.stats().pending, 0)
  end()
})

test('buffers of a stream are released at the end of their turn, and not copied', async (t) => {
  const { there, watcher, server, client, end } = pair<BufferPtr, BufferPtr>(t, {})
  void server.serve(function* (request) {
    for (const letter of request.text()) {
      const item = there.allocate(1)
      item.bytes[0] = letter.charCodeAt(0)
      yield item
    }
  })
  const seen: BufferPtr[] = []
  let text = ''
  for await (const item of client.stream(Buffer.from('hello, stream'))) {
    seen.push(item)
    text += item.text()
  }
  t.is(text, 'hello, stream')
  t.true(seen.every(({ released }) => released))
  t.is(server.stats().copied, 0)
  await until(() => buffersInUse(watcher) === 0)
  end()
})

test('an error in a stream comes after its items', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  void server.serve(async function* () {
    yield 1
    yield 2
    throw new RangeError('no more')
  })
  const seen: number[] = []
  await t.throwsAsync(
    async () => {
      for await (const value of client.stream(0)) seen.push(value)
    },
    { instanceOf: RangeError, message: 'no more' },
  )
  t.deepEqual(seen, [1, 2])
  end()
})

test('to ask for a stream where there is a value, or the reverse, is an error', async (t) => {
  const { server, client, end } = pair<string, number>(t, json)
  void server.serve((which) => (which === 'value' ? 1 : [1, 2].values()))
  await rejectsCode(t, client.stream('value').next(), 'ERR_MILLRACE_INVALID_ARGUMENT', 'use request()')
  await rejectsCode(t, client.request('stream'), 'ERR_MILLRACE_INVALID_ARGUMENT', 'use stream()')
  t.deepEqual(await client.stream('stream').next(), { value: 1, done: false })
  client.close()
  end()
})

test.serial('the timeout of a stream is that of the whole', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  let ended = false
  void server.serve(async function* (_, { signal }) {
    yield 1
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    ended = true
  })
  const stream = client.stream(0, { timeout: 1000 })
  t.deepEqual(await stream.next(), { value: 1, done: false })
  await rejectsCode(t, stream.next(), 'ERR_MILLRACE_TIMEOUT')
  t.deepEqual(await stream.next(), { value: undefined, done: true })
  await until(() => ended)
  end()
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
  await rejectsCode(t, pending, 'ERR_MILLRACE_CLOSED', "service 'work'")
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

test('the pool is exhausted: requests fail or wait, replies wait', async (t) => {
  const domain = testDomain(t)
  const there = domain.open({ maxBytes: '4MiB' })
  const here = domain.open({ exhausted: 'wait' })
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

test('a buffer of another manager is refused, on both sides', async (t) => {
  const { there, here, server, client, end } = pair<BufferPtr, BufferPtr>(t, {})
  const [mine, yours] = [here.allocate(1), there.allocate(1)]
  await rejectsCode(t, client.request(yours), 'ERR_MILLRACE_FOREIGN_BUFFER', 'another ShmManager')
  void server.serve(() => mine)
  await rejectsCode(t, client.request(Buffer.from('x')), 'ERR_MILLRACE_FOREIGN_BUFFER')
  mine.release()
  await rejectsCode(t, client.request(mine), 'ERR_MILLRACE_RELEASED')
  yours.release()
  end()
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

test('it works in guard mode', async (t) => {
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
  const stranger = NativeManager.open(domain.name, {})
  const requests = stranger.requests('work')
  native.allocate(stranger.handle, 1, 10)
  native.setId(0, native.idAt(0), 0)
  t.is(native.send(stranger.handle, requests, 1), STATUS_OK)
  stranger.close()
  t.is(await client.request(1), 1)
  t.is(server.stats().refused, 1)
  end()
})
