// Replies that are streams.
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import type { BufferPtr } from '../../index.js'
import { buffersInUse } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { json, pair } from '../helpers/service.js'
import { until } from '../process/children.js'

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

test('an iterator whose results are no objects ends its stream with an error, also when nobody waits for them any more', async (t) => {
  const { server, client, end } = pair<number, number>(t, json)
  const results = [undefined, null, 5] as const
  let late = 0
  void server.serve((which) => {
    const next = async () => {
      if (which < results.length) return results[which] as unknown as IteratorResult<number>
      late++
      await setTimeout(20)
      return null as never
    }
    return { [Symbol.asyncIterator]: () => ({ next }) }
  })
  for (const [which, result] of results.entries()) {
    await t.throwsAsync(client.stream(which).next(), { instanceOf: TypeError, message: new RegExp(String(result)) })
  }
  const left = client.stream(results.length)
  const waiting = left.next()
  await until(() => late === 1)
  await left.return?.()
  t.true((await waiting).done)
  await until(() => server.stats().running === 0)
  // What comes after all is heard by nobody: an unhandled rejection would fail this file.
  await setTimeout(40)
  end()
})
