import test from 'ava'
import type { BufferPtr } from '../../index.js'
import { buffersInUse, openDomain, openQueue, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

const bytesOf = (...values: number[]) => new Uint8Array(values)

test('put and get copy: neither side sees later writes', async (t) => {
  const { shm, queue } = openQueue(t)
  const value = bytesOf(1, 2, 3)
  await queue.put(value)
  value.fill(0)
  const got = await queue.get()
  t.deepEqual(got, bytesOf(1, 2, 3))
  t.true(got.buffer instanceof ArrayBuffer)
  t.is(buffersInUse(shm), 0)
})

test('sizes from nothing to many classes keep their order and content', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 1024 })
  const sizes = [0, 1, 255, 256, 257, 4096, 0, 100_000, 3, 70_000, 512, 512, 513, 1_000_000]
  const values = Array.from({ length: 600 }, (_, i) => {
    const size = i < sizes.length ? sizes[i]! : (i * 7919) % 700
    return new Uint8Array(size).fill(i)
  })
  await queue.putMany(values)
  t.is(queue.depth, 600)
  t.deepEqual([...queue.getMany(100), ...queue.getMany(1000)], values)
  t.is(buffersInUse(shm), 0)
})

test('putMany waits for space as often as it takes', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const queue = a.portQueue('queue', { capacity: 16 })
  const peer = b.portQueue('queue')
  const put = queue.putMany(Array.from({ length: 1000 }, (_, i) => bytesOf(i & 255, i >> 8)))
  const got: number[] = []
  while (got.length < 1000) {
    const [low, high] = await peer.get()
    got.push(low! + high! * 256)
  }
  await put
  t.deepEqual(
    got,
    got.map((_, i) => i),
  )
})

test('waiting puts and sends keep their order', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 2 })
  const sent: Promise<void>[] = []
  for (let i = 0; i < 20; i++) {
    const buffer = shm.allocate(1)
    buffer.bytes[0] = i
    sent.push(i % 2 === 0 ? queue.put(bytesOf(i)) : queue.send(buffer))
  }
  const got: number[] = []
  for (let i = 0; i < 20; i++) got.push((await queue.get())[0]!)
  await Promise.all(sent)
  t.deepEqual(
    got,
    got.map((_, i) => i),
  )
})

test('waiting gets are served first come first served', async (t) => {
  const { queue } = openQueue(t)
  const gets = [queue.get(), queue.get(), queue.get()]
  await queue.putMany([bytesOf(1), bytesOf(2), bytesOf(3)])
  t.deepEqual(await Promise.all(gets), [bytesOf(1), bytesOf(2), bytesOf(3)])
})

test('a put that fails gives its buffer back', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 2 })
  await queue.putMany([bytesOf(1), bytesOf(2)])
  const full = buffersInUse(shm)
  t.false(queue.tryPut(bytesOf(3)))
  await rejectsCode(t, queue.put(bytesOf(3), { timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', 'queue')
  await rejectsCode(t, queue.putMany([bytesOf(3), bytesOf(4)], { timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', 'queue')
  t.is(buffersInUse(shm), full)
  t.is(queue.depth, 2)
})

test('values of the wrong kind are refused', async (t) => {
  const { shm, queue } = openQueue(t)
  for (const value of ['text', [1], new ArrayBuffer(1), null, undefined, 7]) {
    throwsCode(t, () => queue.tryPut(value as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'Uint8Array')
    await rejectsCode(t, queue.put(value as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'Uint8Array')
    await rejectsCode(t, queue.putMany([bytesOf(1), value as never]), 'ERR_MILLRACE_INVALID_ARGUMENT', 'Uint8Array')
  }
  await rejectsCode(t, queue.putMany(7 as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'values')
  t.is(queue.depth, 0)
  t.is(buffersInUse(shm), 0)
})

test("with exhausted: 'reject' an exhausted pool fails a put", async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 64 }, { maxBytes: '8MiB', exhausted: 'reject' })
  const big = new Uint8Array(2 ** 20)
  await rejectsCode(t, queue.putMany(Array.from({ length: 20 }, () => big)), 'ERR_MILLRACE_EXHAUSTED', String(2 ** 20))
  const { depth } = queue
  t.true(depth > 0, 'what went before has been sent')
  throwsCode(t, () => queue.tryPut(big), 'ERR_MILLRACE_EXHAUSTED')
  await rejectsCode(t, queue.put(big), 'ERR_MILLRACE_EXHAUSTED')
  t.is(queue.depth, depth)
  t.is(shm.stats().pools.find(({ bufferBytes }) => bufferBytes === 2 ** 20)?.used, depth)
})

test('puts wait for buffers while the pool is exhausted', async (t) => {
  const domain = testDomain(t)
  const a = domain.open({ maxBytes: '8MiB' })
  const b = domain.open()
  const queue = a.portQueue('queue', { capacity: 64 })
  const values = Array.from({ length: 20 }, (_, i) => new Uint8Array(2 ** 20).fill(i))
  const put = queue.putMany(values)
  const one = put.then(() => queue.put(bytesOf(99)))
  const got = []
  for (let i = 0; i < 21; i++) got.push((await b.portQueue('queue').get())[0])
  await one
  t.deepEqual(got, [...values.keys(), 99])
})

test('while the pool is exhausted a put times out and tryPut refuses', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 64 }, { maxBytes: '8MiB' })
  const big = new Uint8Array(2 ** 20)
  while (queue.tryPut(big));
  const used = buffersInUse(shm)
  await rejectsCode(t, queue.put(big, { timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', String(2 ** 20))
  t.is(buffersInUse(shm), used)
})

test('putMany without values, getMany on an empty queue', async (t) => {
  const { queue } = openQueue(t)
  await queue.putMany([])
  t.deepEqual(queue.getMany(10), [])
  t.is(queue.tryGet(), undefined)
})

test('messages larger than a domain can hold', async (t) => {
  const queue = openDomain(t).portQueue<number>('queue', {
    codec: { encode: (byteLength) => ({ byteLength, write: () => 0 }), decode: () => 0 },
  })
  await rejectsCode(t, queue.put(2 ** 32), 'ERR_MILLRACE_TOO_LARGE', String(2 ** 32))
  await rejectsCode(t, queue.putMany([2 ** 32]), 'ERR_MILLRACE_TOO_LARGE', String(2 ** 32))
  await rejectsCode(t, queue.put(NaN), 'ERR_MILLRACE_INVALID_ARGUMENT', 'NaN')
})

/** A value too large for the stage. */
const job = (state: string) => ({ state, pad: 'x'.repeat(5000) })

test('what put was given is what arrives, whatever is changed while it waits', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open({ maxBytes: '8MiB' })
  const full = shm.portQueue('full', { capacity: 1, codec: 'json' })
  const bytes = shm.portQueue('bytes', { capacity: 64 })
  const topic = shm.topic('topic', { codec: 'json' })
  using subscription = topic.subscribe({ capacity: 1 })
  await full.put(job('first'))
  await topic.put(job('first'))
  const given = [job('put'), job('many'), job('published')] as const
  const chunk = new Uint8Array(20_000).fill(1)
  const waits: Promise<unknown>[] = [full.put(given[0]), full.putMany([given[1]]), topic.put(given[2])]
  // With memory used up, too.
  const held: BufferPtr[] = []
  for (const size of [32_768, 8192, 256]) {
    for (let buffer = shm.allocator.tryAllocate(size); buffer !== null; buffer = shm.allocator.tryAllocate(size)) {
      held.push(buffer)
    }
  }
  waits.push(bytes.put(chunk), bytes.putMany([chunk, chunk.subarray(10_000)]))
  for (const each of given) each.state = 'as it was changed later'
  chunk.fill(2)
  for (const buffer of held) buffer.release()
  const states: string[] = []
  for (let i = 0; i < 3; i++) states.push(((await full.get()) as { state: string }).state)
  t.deepEqual(states, ['first', 'put', 'many'])
  t.is(((await subscription.get()) as { state: string }).state, 'first')
  t.is(((await subscription.get()) as { state: string }).state, 'published')
  for (let i = 0; i < 3; i++) t.true((await bytes.get()).every((byte) => byte === 1))
  await Promise.all(waits)
  // What cannot be encoded is refused at the call, however long it would have had to wait.
  await full.put(job('fills it'))
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  await t.throwsAsync(full.put(circle as never), { instanceOf: TypeError })
  t.is(full.depth, 1)
})

test('what was put before the queue or topic exists is what arrives, whatever is changed until it does', async (t) => {
  const domain = testDomain(t)
  const [early, late] = [domain.open(), domain.open()]
  const bytes = Buffer.from([1])
  const given = { at: new Date(0), state: 'as it was put' }
  const refused = early.portQueue<unknown>('bytes').put(given)
  const waits = [
    early.portQueue('bytes').put(bytes),
    early.portQueue<unknown>('json').put(given),
    early.portQueue<unknown>('v8').putMany([given, bytes]),
    early.topic<unknown>('topic').put(given),
  ]
  bytes[0] = 2
  given.state = 'as it was changed later'
  const codecs = ['bytes', 'json', 'v8'] as const
  for (const codec of codecs) late.portQueue(codec, { codec: codec as 'json', capacity: 4 })
  const topic = late.topic('topic', { codec: 'msgpack', history: 4 })
  await rejectsCode(t, refused, 'ERR_MILLRACE_INVALID_ARGUMENT', 'Uint8Array')
  await Promise.all(waits)
  t.deepEqual(late.portQueue('bytes').tryGet(), Uint8Array.of(1))
  const was = { at: new Date(0), state: 'as it was put' }
  t.deepEqual(late.portQueue('json').tryGet(), { ...was, at: '1970-01-01T00:00:00.000Z' })
  t.deepEqual(late.portQueue('v8').getMany(2), [was, Buffer.of(1)])
  using subscription = topic.subscribe()
  t.deepEqual(await subscription.get(), was)
})

test('a codec that changes the list that is being put: what was in it is put', async (t) => {
  for (const change of [(list: number[]) => list.push(7), (list: number[]) => list.pop()]) {
    const list = [1, 2, 3]
    const encode = (value: number) => {
      if (list.length < 100 && value === 1) change(list)
      return Uint8Array.of(value)
    }
    const { shm, queue } = openQueue<number>(t, { codec: { encode, decode: (bytes) => bytes[0]! }, capacity: 256 })
    await queue.putMany(list.length > 0 ? new Proxy(list, { get: once(list) }) : list)
    t.deepEqual(queue.getMany(256), [1, 2, 3])
    t.is(buffersInUse(shm), 0)
  }
})

/** Elements as they were; a length that is asked for once. */
function once(list: number[]): (target: number[], key: string | symbol) => unknown {
  const elements = [...list]
  let asked = false
  return (target, key) => {
    if (key !== 'length') return key in elements ? elements[key as never] : Reflect.get(target, key)
    if (asked) throw new Error('length was asked for twice')
    asked = true
    return list.length
  }
}
