// What travels: values, buffers, codecs, errors.
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import { type BufferPtr, MillraceError } from '../../index.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { json, pair } from '../helpers/service.js'

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

test('a buffer is not copied: what the server returns is what the client sent', async (t) => {
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
  t.is((type as Error & { remote?: string }).remote, `service "work", participant ${there.participant}`)
  t.regex(type.stack!, /^TypeError: wrong\n.*values\.spec[^]*\[remote: service "work"/)
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
    return () => 'a function'
  })
  await t.throwsAsync(client.request(true), { instanceOf: SyntaxError, message: 'later' })
  await rejectsCode(t, client.request(false), 'ERR_MILLRACE_INVALID_ARGUMENT', 'codec "json"')
  end()
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

test('what was given is what is asked, whatever is changed while the request waits', async (t) => {
  const { server, client, end } = pair<{ state: string }, string>(t, { ...json, inFlight: 1 })
  void server.serve((asked) => {
    const { state } = asked
    return state === 'stream' ? [state] : setImmediate(state)
  })
  const given = { state: 'request' }
  const first = client.request({ state: 'first' })
  const second = client.request(given)
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  await t.throwsAsync(client.request(circle as never), { instanceOf: TypeError })
  given.state = 'stream'
  const stream = client.stream(given)
  given.state = 'as it was changed later'
  t.deepEqual(await Promise.all([first, second]), ['first', 'request'])
  t.deepEqual(await stream.next(), { value: 'stream', done: false })
  await stream.return?.()
  t.throws(() => client.stream(circle as never), { instanceOf: TypeError })
  end()
})

test('bytes, too, are asked as they were given', async (t) => {
  const { server, client, end } = pair<BufferPtr, BufferPtr>(t, { inFlight: 1 })
  void server.serve((request) => setImmediate(request))
  const bytes = Uint8Array.of(1)
  const requests = [client.request(bytes), client.request(bytes)]
  bytes[0] = 2
  for (using reply of await Promise.all(requests)) t.is(reply.bytes[0], 1)
  end()
})
