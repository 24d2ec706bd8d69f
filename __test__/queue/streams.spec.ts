import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { Readable, Writable } from 'node:stream'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { buffersInUse, openQueue } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'

test('readable yields values until the queue ends', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json' })
  await queue.putMany([1, 2, 3])
  const stream = queue.readable()
  const seen: unknown[] = []
  stream.on('data', (value) => {
    seen.push(value)
    if (value === 3) void queue.put(4).then(() => queue.close())
  })
  await new Promise((resolve) => stream.on('close', resolve))
  t.deepEqual(seen, [1, 2, 3, 4])
  t.is(buffersInUse(shm), 0)
})

test('writable puts values, waits while the queue is full, and may close it at the end', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json', capacity: 4 })
  const numbers = Array.from({ length: 1000 }, (_, i) => i)
  const written = pipeline(Readable.from(numbers), queue.writable({ close: true }))
  const seen: number[] = []
  for await (using message of queue) seen.push(message.json<number>())
  await written
  t.deepEqual(seen, numbers)
  t.is(buffersInUse(shm), 0)
})

test('an end without close leaves the queue open', async (t) => {
  const { queue } = openQueue<number>(t, { codec: 'json' })
  await pipeline(Readable.from([1, 2]), queue.writable())
  t.false(queue.info?.closed)
  t.deepEqual(queue.getMany(10), [1, 2])
})

test('from queue to queue', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 8 })
  const onward = shm.portQueue('onward', { capacity: 8 })
  const piped = pipeline(queue.readable(), onward.writable({ close: true }))
  const put = queue.putMany(Array.from({ length: 200 }, (_, i) => new Uint8Array([i])))
  const closed = put.then(() => queue.close())
  let count = 0
  for await (using message of onward) t.is(message.bytes[0], count++)
  await Promise.all([piped, closed])
  t.is(count, 200)
  t.is(buffersInUse(shm), 0)
})

test('destroying a stream ends its wait', async (t) => {
  const { queue } = openQueue(t, { capacity: 1 })
  const readable = queue.readable()
  readable.read()
  readable.destroy()
  await new Promise((resolve) => readable.on('close', resolve))
  await queue.put(new Uint8Array(1))
  const writable = queue.writable()
  writable.on('error', () => {})
  writable.write(new Uint8Array(1))
  writable.destroy()
  await new Promise((resolve) => writable.on('close', resolve))
  t.is(queue.depth, 1)
})

test('errors of the queue are errors of the stream', async (t) => {
  const { queue } = openQueue<unknown>(t, { codec: 'json' })
  await queue.put(null)
  const take = async () => {
    for await (const value of queue.readable()) t.fail(String(value))
  }
  await rejectsCode(t, take(), 'ERR_MILLRACE_INVALID_ARGUMENT', 'null')
  await rejectsCode(t, pipeline(Readable.from([() => 0]), queue.writable()), 'ERR_MILLRACE_INVALID_ARGUMENT', 'json')
  queue.close()
  await rejectsCode(t, pipeline(Readable.from([1]), queue.writable()), 'ERR_MILLRACE_CLOSED', 'queue')
  queue.destroy()
  await rejectsCode(t, take(), 'ERR_MILLRACE_DESTROYED', 'queue')
})

test('web streams in both directions', async (t) => {
  const { queue } = openQueue<number>(t, { codec: 'json', capacity: 8 })
  const { readable, writable } = queue.toWeb()
  const writer = writable.getWriter()
  const reader = readable.getReader()
  for (let i = 0; i < 20; i++) {
    const written = writer.write(i)
    t.deepEqual(await reader.read(), { value: i, done: false })
    await written
  }
  await writer.close()
  queue.close()
  t.is((await reader.read()).done, true)
})

test('toWeb makes only the direction that is asked for', async (t) => {
  const { queue } = openQueue<number>(t, { codec: 'json' })
  const writer = queue.toWeb().writable.getWriter()
  await writer.write(1)
  await writer.close()
  t.deepEqual(queue.getMany(10), [1])
})

test('the streams are plain node streams in object mode', (t) => {
  const { queue } = openQueue(t)
  const readable = queue.readable({ highWaterMark: 3 })
  const writable = queue.writable({ highWaterMark: 5 })
  t.true(readable instanceof Readable && readable.readableObjectMode)
  t.true(writable instanceof Writable && writable.writableObjectMode)
  t.is(readable.readableHighWaterMark, 3)
  t.is(writable.writableHighWaterMark, 5)
  readable.destroy()
  writable.destroy()
})

test('values end with the queue, with the loop, and with a signal', async (t) => {
  const { shm, queue } = openQueue<number>(t, { codec: 'json' })
  await queue.putMany([1, 2, 3])
  for await (const value of queue.values()) {
    t.is(value, 1)
    break
  }
  t.is(queue.depth, 2)
  const aborter = new AbortController()
  const seen: number[] = []
  const loop = async () => {
    for await (const value of queue.values({ signal: aborter.signal })) {
      seen.push(value)
      if (value === 3) setTimeout(() => aborter.abort(new RangeError('enough')))
    }
  }
  await t.throwsAsync(loop(), { instanceOf: RangeError })
  t.deepEqual(seen, [2, 3])
  const iterator = queue.values()
  const next = iterator.next()
  await iterator.return!()
  t.true((await next).done)
  await queue.put(4)
  queue.close()
  const rest: number[] = []
  for await (const value of queue.values()) rest.push(value)
  t.deepEqual(rest, [4])
  t.is(buffersInUse(shm), 0)
})

async function* twoNumbers(): AsyncGenerator<number> {
  yield 4
  await Promise.resolve()
  yield 5
}

async function* broken(): AsyncGenerator<number> {
  yield 6
  throw new RangeError('broken')
}

test('putFrom takes from sources of both kinds, ends with them, and gives their errors on', async (t) => {
  const { queue } = openQueue<number>(t, { codec: 'json', capacity: 64 })
  t.is(await queue.putFrom([1, 2, 3]), 3)
  t.is(await queue.putFrom(twoNumbers()), 2)
  await t.throwsAsync(queue.putFrom(broken()), { instanceOf: RangeError })
  t.false(queue.info!.closed)
  await t.throwsAsync(queue.putFrom(broken(), { close: true }), { instanceOf: RangeError })
  t.true(queue.info!.closed, 'who reads must not wait for what never comes')
  t.deepEqual(queue.getMany(10), [1, 2, 3, 4, 5, 6, 6])
  await rejectsCode(t, queue.putFrom([7]), 'ERR_MILLRACE_CLOSED')
})

test('bytes: text and buffers in, the same bytes out, whatever the chunks', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 4 })
  const chunks = ['häuser', Buffer.from([1, 2, 3]), new Uint8Array(100_000).fill(7), '', 'ende']
  const written = pipeline(Readable.from(chunks, { objectMode: false }), queue.writable({ bytes: true, close: true }))
  const readable = queue.readable({ bytes: true })
  t.false(readable.readableObjectMode)
  const got: Buffer[] = []
  for await (const chunk of readable) got.push(chunk as Buffer)
  await written
  t.true(Buffer.concat(got).equals(Buffer.concat(chunks.map((chunk) => Buffer.from(chunk as Uint8Array)))))
  t.is(buffersInUse(shm), 0)
})

test('bytes: an empty message is no end', async (t) => {
  const { queue } = openQueue(t)
  await queue.putMany([new Uint8Array(0), new Uint8Array([1]), new Uint8Array(0), new Uint8Array([2])])
  queue.close()
  const got: number[] = []
  for await (const chunk of queue.readable({ bytes: true })) got.push(...(chunk as Buffer))
  t.deepEqual(got, [1, 2])
})

test('bytes: web streams', async (t) => {
  const { queue } = openQueue(t, { capacity: 8 })
  const { readable, writable } = queue.toWeb({ bytes: true, close: true })
  const writer = writable.getWriter()
  const written = writer.write(new Uint8Array([1, 2])).then(() => writer.close())
  const got: number[] = []
  for await (const chunk of readable) got.push(...chunk)
  await written
  t.deepEqual(got, [1, 2])
})

test('an abort ends putFrom while its source is idle, and one that came before takes nothing', async (t) => {
  const { queue } = openQueue<number>(t, { codec: 'json' })
  let told = 0
  const idle: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: async () => {
        told++
        return { value: undefined, done: true }
      },
    }),
  }
  const controller = new AbortController()
  const waiting = queue.putFrom(idle, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await t.throwsAsync(waiting, { message: 'enough' })
  t.is(told, 1)
  await t.throwsAsync(queue.putFrom([1], { signal: controller.signal }), { message: 'enough' })
  t.is(queue.depth, 0)
})

test('what a stream could not hand on is still in an at-least-once queue', async (t) => {
  const { shm, queue } = openQueue<number | null>(t, { codec: 'json', delivery: 'at-least-once', capacity: 16 })
  await queue.putMany([1, 2, 3, null, 5, 6])
  const seen: unknown[] = []
  const stream = queue.readable().on('data', (value) => seen.push(value))
  await rejectsCode(t, once(stream, 'close'), 'ERR_MILLRACE_INVALID_ARGUMENT', 'null')
  t.deepEqual(seen, [1, 2, 3])
  t.deepEqual(queue.getMany(9), [null, 5, 6])
  // Held ready, and not taken.
  await queue.putMany([1, 2, 3])
  const unread = queue.readable()
  await once(unread, 'readable')
  t.is(unread.read(), 1)
  unread.destroy()
  await once(unread, 'close')
  t.deepEqual(queue.getMany(9), [1, 2, 3])
  t.is(buffersInUse(shm), 0)
})

test('writable({ close: true }) closes the queue however its source ends', async (t) => {
  const failing = openQueue<number>(t, { codec: 'json' }).queue
  await t.throwsAsync(pipeline(Readable.from(broken()), failing.writable({ close: true })), { instanceOf: RangeError })
  t.true(failing.info!.closed)
  t.deepEqual(failing.getMany(9), [6])
  const destroyed = openQueue<number>(t, { codec: 'json' }).queue
  const stream = destroyed.writable({ close: true })
  stream.destroy()
  await once(stream, 'close')
  t.true(destroyed.info!.closed)
})

test('a listener that destroys the stream leaves the rest of what had come to others', async (t) => {
  for (const delivery of ['at-least-once', 'at-most-once'] as const) {
    const { shm, queue } = openQueue<number>(t, { codec: 'json', delivery, capacity: 16 })
    const seen: number[] = []
    const stream = queue.readable().on('data', (value: number) => {
      seen.push(value)
      if (value === 2) stream.destroy()
    })
    const closed = once(stream, 'close')
    await queue.putMany([1, 2, 3, 4])
    await closed
    t.deepEqual(seen, [1, 2])
    t.is(queue.stats()!.leased, 0)
    t.deepEqual(queue.getMany(9), delivery === 'at-least-once' ? [2, 3, 4] : [])
    t.is(buffersInUse(shm), 0)
  }
})

test('putFrom hears an abort by its source, and beside a source whose promises are of another kind', async (t) => {
  const { queue } = openQueue<number>(t, { codec: 'json' })
  const never = new Promise<IteratorResult<number>>(() => {})
  // Of another realm, or of a library.
  const foreign = runInNewContext('new Promise(() => {})') as typeof never
  for (const step of [never, foreign]) {
    const controller = new AbortController()
    const next = () => {
      if (step === never) controller.abort(new Error('enough'))
      else queueMicrotask(() => controller.abort(new Error('enough')))
      return step
    }
    const putting = queue.putFrom({ [Symbol.asyncIterator]: () => ({ next }) }, { signal: controller.signal })
    await t.throwsAsync(putting, { message: 'enough' })
  }
})

test('a web stream that is cancelled gives back what its reader had last, and what nobody has read', async (t) => {
  for (const bytes of [false, true]) {
    const { queue } = openQueue(t, { delivery: 'at-least-once', capacity: 16 })
    await queue.putMany([1, 2, 3, 4].map((byte) => Uint8Array.of(byte)))
    const reader = queue.toWeb({ bytes }).readable.getReader()
    t.is((await reader.read()).value?.[0], 1)
    // That it asks for the next says that it is done with the first.
    t.is((await reader.read()).value?.[0], 2)
    await reader.cancel()
    t.is(queue.stats()!.leased, 0)
    t.deepEqual(
      queue.getMany(9).map(([byte]) => byte),
      [2, 3, 4],
    )
  }
})

test('whoever reads at events comes to the end, also by asking for more bytes than there are', async (t) => {
  for (const size of [undefined, 2]) {
    const { shm, queue } = openQueue(t, { delivery: 'at-least-once' })
    await queue.putMany([1, 2, 3].map((byte) => Uint8Array.of(byte)))
    queue.close()
    const stream = queue.readable({ bytes: size !== undefined })
    const seen: number[] = []
    stream.on('readable', () => {
      for (let chunk; (chunk = stream.read(size) as Uint8Array | null) !== null;) seen.push(...chunk)
    })
    await once(stream, 'close')
    t.deepEqual(seen, [1, 2, 3])
    t.is(queue.stats()!.leased, 0)
    t.is(buffersInUse(shm), 0)
  }
})

test('a stream that is paused acknowledges when it goes on', async (t) => {
  const { queue } = openQueue<number>(t, { codec: 'json', delivery: 'at-least-once' })
  await queue.putMany([1, 2, 3])
  const stream = queue.readable({ highWaterMark: 1 })
  const seen: number[] = []
  stream.on('data', (value: number) => {
    seen.push(value)
    stream.pause()
  })
  await once(stream, 'pause')
  t.is(queue.stats()!.leased, 1)
  stream.resume()
  await once(stream, 'pause')
  t.deepEqual(seen, [1, 2])
  stream.destroy()
  await once(stream, 'close')
  t.deepEqual(queue.getMany(9), [2, 3])
})
