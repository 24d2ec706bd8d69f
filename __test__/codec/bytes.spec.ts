// Bytes of the user's: whatever their class says of them, what is measured is what is written.
import { createRequire } from 'node:module'
import { runInNewContext } from 'node:vm'
import test, { type ExecutionContext } from 'ava'
import { type BufferPtr, type Codec, type QueueOptions, ShmManager, type WithCodec } from '../../index.js'
import { buffersInUse, openDomain, openQueue } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

class Liar extends Uint8Array<ArrayBuffer> {
  override get byteLength() {
    return 8192
  }
  override get length() {
    return 8192
  }
}

/** A queue in a domain with one free buffer of 8 KiB, and the others, full of sevens. */
function crowded<T = Uint8Array>(t: ExecutionContext, codec?: Codec<T>) {
  const shm = openDomain(t, { maxBytes: '4MiB', exhausted: 'reject' })
  const queue = shm.portQueue<T>('queue', { capacity: 8, codec } as WithCodec<QueueOptions<T>, T>)
  const others: BufferPtr[] = []
  for (let buffer = shm.allocator.tryAllocate(8192); buffer !== null; buffer = shm.allocator.tryAllocate(8192)) {
    buffer.bytes.fill(7)
    others.push(buffer)
  }
  others.splice(10, 1)[0]!.release()
  return { queue, damaged: () => others.filter((buffer) => buffer.bytes.some((byte) => byte !== 7)).length }
}

test('an array that lies about its length is written as long as it is', async (t) => {
  for (const real of [64, 4096, 8192, 24_576]) {
    const { queue, damaged } = crowded(t)
    const bytes = new Liar(new ArrayBuffer(real)).fill(9)
    if (real > 8192) {
      await rejectsCode(t, queue.put(bytes), 'ERR_MILLRACE_EXHAUSTED')
    } else {
      await queue.put(bytes)
      t.deepEqual(await queue.get(), new Uint8Array(real).fill(9))
    }
    t.is(damaged(), 0)
  }
})

test('own properties of an array are not asked', async (t) => {
  const { queue } = openQueue(t)
  for (const real of [10, 10_000]) {
    const bytes = new Uint8Array(real).fill(1)
    for (const name of ['length', 'byteLength', 'byteOffset', 'buffer']) {
      Object.defineProperty(bytes, name, { get: () => t.fail(`${name} was asked for`) })
    }
    await queue.putMany([bytes, bytes])
    const [first, second] = [await queue.get(), await queue.get()]
    t.deepEqual([first.length, second.every((byte) => byte === 1)], [real, true])
  }
})

interface Growable extends ArrayBuffer {
  resize(bytes: number): void
}
const resizable = (bytes: number) =>
  new (ArrayBuffer as unknown as new (bytes: number, options: object) => Growable)(bytes, { maxByteLength: 100_000 })

test('an array that grows while others of its batch are written', async (t) => {
  const buffer = resizable(8000)
  const grows = new Uint8Array(buffer).fill(1)
  const codec: Codec<Uint8Array | null> = {
    encode(value) {
      if (value !== null) return value
      return {
        byteLength: 8000,
        write(target) {
          buffer.resize(30_000)
          target.fill(3)
        },
      }
    },
    decode: (bytes) => bytes.slice(),
  }
  const { queue, damaged } = crowded(t, codec)
  await rejectsCode(
    t,
    queue.putMany([grows]).then(() => queue.putMany([null, grows])),
    'ERR_MILLRACE_EXHAUSTED',
  )
  t.is(damaged(), 0)
})

test('an array that changes its size while its put waits is sent as it was', async (t) => {
  for (const size of [100, 8000]) {
    const { queue } = openQueue(t, { capacity: 2 })
    await queue.putMany([new Uint8Array(1), new Uint8Array(1)])
    const buffer = resizable(size)
    const put = queue.put(new Uint8Array(buffer).fill(5))
    buffer.resize(90_000)
    await queue.get()
    await queue.get()
    await put
    t.deepEqual(await queue.get(), new Uint8Array(size).fill(5))
  }
})

test('arrays of other realms, and of shared memory', async (t) => {
  const { queue } = openQueue(t)
  const foreign = runInNewContext('(n) => new Uint8Array(n).fill(6)') as (bytes: number) => Uint8Array
  for (const size of [10, 10_000]) {
    await queue.put(foreign(size))
    await queue.put(new Uint8Array(new SharedArrayBuffer(size)).fill(6))
    for (let i = 0; i < 2; i++) t.deepEqual(await queue.get(), new Uint8Array(size).fill(6))
  }
  const fake = Object.create(Uint8Array.prototype) as Uint8Array
  for (const value of [fake, new Uint16Array(1), new ArrayBuffer(1), 'text', null]) {
    await rejectsCode(t, queue.put(value as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'must be a Uint8Array')
  }
})

test('writers whose byteLength changes, or is no number of bytes', async (t) => {
  const codec: Codec<number[]> = {
    encode(lengths) {
      let asked = 0
      return {
        get byteLength() {
          return lengths[Math.min(asked++, lengths.length - 1)]!
        },
        write(target) {
          target.fill(8)
        },
      }
    },
    decode: (bytes) => [bytes.length],
  }
  const { queue, damaged } = crowded(t, codec)
  await queue.put([100, 50])
  t.deepEqual(await queue.get(), [50])
  await rejectsCode(t, queue.put([100, 1000, 5000, 9000, 20_000]), 'ERR_MILLRACE_INVALID_ARGUMENT', 'byteLength')
  for (const length of [NaN, -1, 1.5, '4' as unknown as number]) {
    await rejectsCode(t, queue.put([length]), 'ERR_MILLRACE_INVALID_ARGUMENT')
  }
  await rejectsCode(t, queue.put([2 ** 40]), 'ERR_MILLRACE_TOO_LARGE')
  t.is(damaged(), 0)
  t.is(queue.depth, 0)
})

/** A queue of values, and one of each that can only be sent, all of which end with the manager. */
async function sendables(t: ExecutionContext, codec: 'json' | 'v8' | 'msgpack') {
  const { shm, queue } = openQueue<unknown>(t, { codec })
  const frames = shm.portQueue('frames', {})
  frames.trySend(shm.allocate(10))
  frames.close()
  const { value: batch } = await frames.batches()[Symbol.asyncIterator]().next()
  return { shm, queue, buffer: shm.allocate(10), subscription: shm.topic('topic').subscribe(), frames, batch }
}

test('codecs for values of any kind refuse what can only be sent', async (t) => {
  for (const codec of ['json', 'v8', 'msgpack'] as const) {
    const { shm, queue, buffer, subscription, frames, batch } = await sendables(t, codec)
    for (const value of [buffer, subscription, frames, batch]) {
      throwsCode(
        t,
        () => queue.tryPut(value),
        'ERR_MILLRACE_INVALID_ARGUMENT',
        codec,
        'send()',
        value!.constructor.name,
      )
    }
    t.is(queue.depth, 0)
    t.is(buffersInUse(shm), 2)
  }
})

test('codecs refuse what can only be sent wherever it is in a value, and say where', async (t) => {
  for (const codec of ['json', 'v8', 'msgpack'] as const) {
    const { shm, queue, buffer, subscription, frames, batch } = await sendables(t, codec)
    const many: unknown[] = Array.from({ length: 2000 }, (_, i) => ({ i, text: `number ${i}` }))
    many[1999] = { 'a key': [buffer] }
    for (const [value, where, what] of [
      [{ id: 1, frame: buffer }, 'value.frame ', 'BufferPtr'],
      [[1, { deep: { list: [0, buffer] } }], 'value[1].deep.list[1] ', 'BufferPtr'],
      [{ batch }, 'value.batch ', 'Batch'],
      [{ a: {}, queues: [frames] }, 'value.queues[0] ', 'PortQueue'],
      [{ a: {}, queues: [subscription] }, 'value.queues[0] ', 'SubscriberQueue'],
      [many, 'value[1999]["a key"][0] ', 'BufferPtr'],
    ] as const) {
      throwsCode(t, () => queue.tryPut(value), 'ERR_MILLRACE_INVALID_ARGUMENT', codec, where, what, 'send()')
      await rejectsCode(t, queue.putMany([1, value]), 'ERR_MILLRACE_INVALID_ARGUMENT', where)
    }
    if (codec !== 'json') {
      throwsCode(t, () => queue.tryPut(new Map([['k', buffer]])), 'ERR_MILLRACE_INVALID_ARGUMENT', 'value.get("k") ')
      throwsCode(t, () => queue.tryPut({ s: new Set([buffer]) }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'value.s.values() ')
    }
    t.is(queue.depth, 0)
    t.is(buffersInUse(shm), 2)
    // What only looks like one is data.
    const like = { gap: 0, attempt: 1, empty: {}, text: '"\x07attempt' }
    queue.tryPut(like)
    t.deepEqual(await queue.get(), like)
  }
})

test('values packed straight into their buffers are looked at, too', async (t) => {
  const { shm, queue } = openQueue<unknown>(t, { codec: 'msgpack' })
  const large = 'x'.repeat(10_000)
  await queue.put({ large })
  using buffer = shm.allocate(10)
  throwsCode(t, () => queue.tryPut({ large, buffer }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'value.buffer ')
  t.is(buffersInUse(shm), 2)
  t.deepEqual(await queue.get(), { large })
})

test('buffers of another copy of this package in the process are refused as well', (t) => {
  const { shm, queue } = openQueue<unknown>(t, { codec: 'json' })
  const other = createRequire(import.meta.url)('../../index.cjs') as { ShmManager: typeof ShmManager }
  t.not(other.ShmManager, ShmManager)
  using there = other.ShmManager.open(shm.domain)
  using buffer = there.allocate(10)
  throwsCode(t, () => queue.tryPut(buffer), 'ERR_MILLRACE_INVALID_ARGUMENT', 'send()')
  throwsCode(t, () => queue.tryPut([buffer]), 'ERR_MILLRACE_INVALID_ARGUMENT', 'value[0]')
})

test('a codec may encode into the same bytes each time', async (t) => {
  const scratch = new Uint8Array(2)
  const codec: Codec<number> = {
    encode: (value) => {
      scratch[0] = value
      return scratch.subarray(0, 1)
    },
    decode: (bytes) => bytes[0]!,
  }
  const { shm, queue } = openQueue<number>(t, { codec, capacity: 2 })
  using subscription = shm.topic('topic', { codec }).subscribe()
  const puts = [
    queue.putMany([1, 2, 3]),
    queue.put(4),
    queue.putMany([5, 6]),
    shm.topic('topic', { codec }).putMany([7, 8]),
  ]
  for (let i = 1; i <= 6; i++) t.is(await queue.get(), i)
  await Promise.all(puts)
  t.deepEqual(subscription.getMany(9), [7, 8])
})
