// What goes wrong in a handler, a codec or a loop ends that call, and nothing else.
import { getEventListeners } from 'node:events'
import test from 'ava'
import { type BufferPtr, type Codec, MillraceError } from '../../index.js'
import { decodeFailure } from '../../lib/service/failure.js'
import { buffersInUse } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { json, pair } from '../helpers/service.js'
import { until } from '../process/children.js'

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function cyclic(): Error {
  const error: Error & { cause?: unknown } = new Error('cycle')
  error.cause = error
  return error
}

const ODD: Record<string, () => unknown> = {
  'a message that is no text': () => Object.assign(new Error('x'), { message: { text: 'no', toString: () => 'no' } }),
  'a name that is a symbol': () => Object.assign(new Error('x'), { name: Symbol('odd') }),
  'a message that throws': () =>
    Object.defineProperty(new Error('x'), 'message', {
      get: () => {
        throw new Error('getter')
      },
    }),
  'a property that throws the second time it is read': () => {
    let reads = 0
    return Object.defineProperty(new Error('x'), 'details', {
      enumerable: true,
      get: () => {
        if (reads++ > 0) throw new Error('again')
        return { deep: 1 }
      },
    })
  },
  'a revoked proxy': revoked,
  'a cause that is a revoked proxy': () => new Error('x', { cause: revoked() }),
  'a cycle of causes': cyclic,
  'a function': () => () => 1,
  'a symbol': () => Symbol('thrown'),
  nothing: () => undefined,
}

for (const [what, make] of Object.entries(ODD)) {
  test(`whatever a handler throws arrives as an error: ${what}`, async (t) => {
    const { server, client, end } = pair<'throw' | 'return' | 'yield' | 'fine', unknown>(t, { codec: 'v8' })
    void server.serve((where) => {
      if (where === 'fine') return 'fine'
      if (where === 'throw') throw make()
      return Promise.reject(make())
    })
    t.true((await t.throwsAsync(client.request('throw'), { any: true })) instanceof Error)
    t.true((await t.throwsAsync(client.request('return'), { any: true })) instanceof Error)
    t.true((await t.throwsAsync(client.stream('yield').next(), { any: true })) instanceof Error)
    t.is(await client.request('fine'), 'fine')
    t.is(server.stats().threw, 3)
    end()
  })
}

/** What nobody can tell from a promise. */
function unthenable(): object {
  const key = ['th', 'en'].join('')
  return Object.defineProperty({}, key, {
    get: () => {
      throw new Error('getter')
    },
  })
}

test('what a handler returns may be as odd', async (t) => {
  const { server, client, end } = pair<number, unknown>(t, json)
  const odd = [revoked, unthenable]
  void server.serve((n) => (n < odd.length ? odd[n]!() : n))
  for (let n = 0; n < odd.length; n++) {
    t.true((await t.throwsAsync(client.request(n), { any: true })) instanceof Error)
    t.true((await t.throwsAsync(client.stream(n).next(), { any: true })) instanceof Error)
  }
  t.is(await client.request(7), 7)
  end()
})

test('own properties of an error travel, as far as they can be cloned', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  void server.serve(() => {
    throw Object.assign(new RangeError('not found'), {
      status: 404,
      code: 'E_NONE',
      details: { id: 7 },
      retry: () => 1,
    })
  })
  const error = await t.throwsAsync(client.request(0), { instanceOf: RangeError, code: 'E_NONE' })
  t.like(error, { status: 404, details: { id: 7 } })
  t.false('retry' in error)
  end()
})

test('an error in the format of another engine is told as one that cannot be read', (t) => {
  const bytes = Buffer.from('bun' in process.versions ? 'ff0f6f7b00' : '0e00000002ffffffff', 'hex')
  const { code, message } = decodeFailure(bytes, 'service fails') as MillraceError
  t.is(code, 'ERR_MILLRACE_REMOTE')
  t.regex(message, /^service fails answered with an error that cannot be read: .*not in the format of codec "v8"/)
})

test('a buffer given to a call is taken over, however that ends', async (t) => {
  const { watcher, here, there, server, client, end } = pair<BufferPtr, BufferPtr>(t, {})
  const given: BufferPtr[] = []
  const give = () => {
    given.push(here.allocate(64))
    return given.at(-1)!
  }
  const aborted = AbortSignal.abort(new Error('before'))
  await t.throwsAsync(client.request(give(), { signal: aborted }), { message: 'before' })
  await rejectsCode(t, client.request(give(), { retry: -1 }), 'ERR_MILLRACE_INVALID_ARGUMENT')
  await rejectsCode(t, client.request(give(), { timeout: 0 }), 'ERR_MILLRACE_TIMEOUT', 'was not run')
  await rejectsCode(t, client.request(give(), { timeout: 5 }), 'ERR_MILLRACE_TIMEOUT', 'no server')
  t.throws(() => client.stream(give(), { window: 0 }), { instanceOf: MillraceError })
  await t.throwsAsync(client.stream(give(), { signal: aborted }).next(), { message: 'before' })
  await client.stream(give()).return!()
  const unread = client.stream(give())
  const foreign = there.allocate(1)
  await rejectsCode(t, client.request(foreign), 'ERR_MILLRACE_FOREIGN_BUFFER')
  t.true([...given, foreign].every(({ released }) => released))
  void server.serve((request) => request)
  ;(await client.request(give())).release()
  client.close()
  await rejectsCode(t, client.request(give()), 'ERR_MILLRACE_CLOSED')
  t.true(given.every(({ released }) => released))
  await rejectsCode(t, unread.next(), 'ERR_MILLRACE_CLOSED')
  await until(() => buffersInUse(watcher) === 0)
  end()
})

test('with no time nothing is sent, and nothing is run', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  await rejectsCode(t, client.request(1, { timeout: 0 }), 'ERR_MILLRACE_TIMEOUT', 'will not be')
  await rejectsCode(t, client.stream(1, { timeout: 0 }).next(), 'ERR_MILLRACE_TIMEOUT')
  t.like(client.stats(), { requested: 0, queued: 0, pending: 0, timedOut: 2 })
  void server.serve((n) => n)
  t.is(await client.request(2), 2)
  t.is(server.stats().served, 1)
  end()
})

test('values of any size come through a codec that guesses how long they will be', async (t) => {
  const { server, client, end } = pair<Record<string, string>, string[]>(t, { codec: 'msgpack' })
  void server.serve((value) => [...Object.keys(value), ...Object.values(value)])
  for (let i = 0; i < 200; i++) {
    const text = 'ä€a'[i % 3]!.repeat((i * 7919) % 50_000)
    t.deepEqual(await client.request({ [`k${i}`]: text }), [`k${i}`, text])
  }
  end()
})

/** Cannot read 3. */
const picky: Codec<number> = {
  encode: (n) => String(n),
  decode(bytes) {
    const n = Number(Buffer.from(bytes).toString())
    if (n === 3) throw new TypeError('three is beyond me')
    return n
  },
}

test('an item that cannot be decoded ends the call, and its run', async (t) => {
  const { server, client, watcher, end } = pair<number, number>(t, { codec: 'json', replyCodec: picky })
  let ended = 0
  void server.serve(function* () {
    try {
      for (let i = 0; ; i++) yield i
    } finally {
      ended++
    }
  })
  const seen: number[] = []
  await t.throwsAsync(
    async () => {
      for await (const n of client.stream(0)) seen.push(n)
    },
    {
      code: 'ERR_MILLRACE_DECODE',
      message: /^a reply of service "work" cannot .*: three is beyond me \(1 byte, 33\)$/,
    },
  )
  t.deepEqual(seen, [0, 1, 2])
  t.is(client.stats().pending, 0)
  await until(() => ended === 1 && server.stats().running === 0)
  await until(() => buffersInUse(watcher) === 0)
  end()
})

test('a reply that cannot be decoded ends the call', async (t) => {
  const { server, client, end } = pair<number, number>(t, { codec: 'json', replyCodec: picky })
  void server.serve((n) => n)
  await t.throwsAsync(client.request(3), { code: 'ERR_MILLRACE_DECODE' })
  t.is(await client.request(4), 4)
  end()
})

test('no listener outlives its wait', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  const [long, serving] = [new AbortController(), new AbortController()]
  const served = server.serve((n, { signal }) => (signal.aborted ? 0 : [n, n].values()), { signal: serving.signal })
  const { signal } = long
  for (let i = 0; i < 50; i++) {
    for await (const n of client.stream(i, { signal })) if (i % 2 === 0) t.is(n, i)
    await rejectsCode(t, client.request(i, { signal }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'stream()')
  }
  t.is(getEventListeners(signal, 'abort').length, 0)
  serving.abort()
  await served
  t.is(getEventListeners(serving.signal, 'abort').length, 0)
  end()
})

test('destroying a busy service ends serve() with an error, and the handler is told', async (t) => {
  const { server, client } = pair<number, number>(t, json)
  let reason: unknown
  const served = server.serve(async (_, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    reason = signal.reason
    return 1
  })
  const asked = client.request(1)
  const streamed = client.stream(2).next()
  await until(() => server.stats().running === 2)
  client.destroy()
  await rejectsCode(t, asked, 'ERR_MILLRACE_CLOSED')
  await rejectsCode(t, streamed, 'ERR_MILLRACE_CLOSED')
  await rejectsCode(t, served, 'ERR_MILLRACE_DESTROYED')
  await until(() => reason !== undefined)
  t.is((reason as MillraceError).code, 'ERR_MILLRACE_DESTROYED')
})
