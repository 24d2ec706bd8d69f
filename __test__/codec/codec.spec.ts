import test from 'ava'
import type { Codec } from '../../index.js'
import { buffersInUse, openDomain, openQueue, testDomain } from '../helpers/domain.js'
import { testMapped } from '../helpers/mapped.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

test('json', async (t) => {
  const { queue } = openQueue<unknown>(t, { codec: 'json' })
  for (const value of [null, 0, '', 'ä€😀'.repeat(100), [1, [2]], { a: { b: null } }, 'x'.repeat(100_000)]) {
    await queue.put(value)
    t.deepEqual(await queue.get(), value)
  }
  await rejectsCode(t, queue.put(undefined), 'ERR_MILLRACE_INVALID_ARGUMENT', 'json')
  await t.throwsAsync(queue.put(1n), { instanceOf: TypeError })
})

test('v8 clones what structured clone clones, outside shared memory', async (t) => {
  const { shm, queue } = openQueue<unknown>(t, { codec: 'v8' })
  const value = {
    at: new Date(0),
    map: new Map([[1, new Set(['x'])]]),
    big: 2n ** 70n,
    floats: new Float64Array([1, 2]),
  }
  await queue.put(value)
  const got = (await queue.get()) as typeof value
  t.deepEqual(got, value)
  for (const buffer of shm.allocateMany(100, 100)) buffer.bytes.fill(255)
  t.deepEqual(got.floats, value.floats)
  await queue.put(undefined)
  t.is(await queue.get(), undefined)
})

interface Point {
  x: number
  y: number
}

const encode = ({ x, y }: Point) => new Uint8Array(new Float64Array([x, y]).buffer)
const decode = (bytes: Uint8Array) => {
  const [x, y] = new Float64Array(bytes.slice().buffer)
  return { x: x!, y: y! }
}
const pointCodec: Codec<Point> = { name: 'point', encode, decode }

test('a codec of your own', async (t) => {
  const { queue } = openQueue(t, { codec: pointCodec })
  t.is(queue.info?.codec, 'point')
  await queue.put({ x: 1, y: -2 })
  t.deepEqual(await queue.get(), { x: 1, y: -2 })
})

testMapped('a codec that writes straight into shared memory', async (t) => {
  const targets: Uint8Array[] = []
  const { shm, queue } = openQueue<string>(t, {
    codec: {
      encode: (text) => ({
        byteLength: text.length * 3,
        write(target) {
          targets.push(target)
          return new TextEncoder().encodeInto(text, target).written
        },
      }),
      decode: (bytes) => new TextDecoder().decode(bytes.slice()),
    },
  })
  await queue.putMany(['äö', '', 'x'.repeat(1000)])
  using first = queue.tryReceive()!
  t.is(first.length, 4)
  t.is(targets[0]!.buffer, first.bytes.buffer)
  t.is(targets[0]!.length, 6)
  t.is(await queue.get(), '')
  t.is(await queue.get(), 'x'.repeat(1000))
  first.release()
  t.is(buffersInUse(shm), 0)
})

test('a codec that writes more than it announced, or throws, leaks nothing', async (t) => {
  const { shm, queue } = openQueue<number>(t, {
    codec: {
      encode: (written) => ({
        byteLength: 4,
        write() {
          if (written < 0) throw new RangeError('no')
          return written
        },
      }),
      decode: (bytes) => bytes.length,
    },
  })
  await rejectsCode(t, queue.put(5), 'ERR_MILLRACE_INVALID_ARGUMENT', '5')
  await rejectsCode(t, queue.putMany([1, 2, 5]), 'ERR_MILLRACE_INVALID_ARGUMENT', '5')
  await t.throwsAsync(queue.put(-1), { instanceOf: RangeError })
  await t.throwsAsync(queue.putMany([1, -1]), { instanceOf: RangeError })
  t.is(queue.depth, 0)
  t.is(buffersInUse(shm), 0)
  await queue.put(3)
  t.is(await queue.get(), 3)
})

test('a codec may use queues itself', async (t) => {
  const shm = openDomain(t)
  const side = shm.portQueue('side', { codec: 'json' })
  const queue = shm.portQueue<string>('queue', {
    codec: {
      encode(text) {
        side.tryPut(`encode ${text}`)
        return {
          byteLength: text.length,
          write(target) {
            side.tryPut(`write ${text}`)
            return new TextEncoder().encodeInto(text, target).written
          },
        }
      },
      decode(bytes) {
        const text = Buffer.from(bytes).toString()
        side.tryPut(`decode ${text}`)
        return text
      },
    },
  })
  await queue.putMany(['a', 'b'])
  await queue.put('c')
  t.deepEqual(queue.getMany(2), ['a', 'b'])
  t.is(queue.tryGet(), 'c')
  t.is(side.getMany(100).length, 9)
})

test('a message that cannot be decoded is released, and the queue goes on', async (t) => {
  const { shm, queue } = openQueue<unknown>(t, { codec: 'json' })
  const bad = () => {
    const buffer = shm.allocate(1)
    buffer.bytes[0] = 0x7b
    queue.trySend(buffer)
  }
  bad()
  t.throws(() => queue.tryGet(), { code: 'ERR_MILLRACE_DECODE' })
  bad()
  await t.throwsAsync(queue.get(), { code: 'ERR_MILLRACE_DECODE' })
  bad()
  t.throws(() => queue.getMany(10), { code: 'ERR_MILLRACE_DECODE' })
  await queue.put(1)
  t.is(await queue.get(), 1)
  t.is(buffersInUse(shm), 0)
})

test('whoever attaches without naming a codec takes the recorded one', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const early = b.portQueue<unknown>('json')
  const got = early.get()
  await a.portQueue('json', { codec: 'json' }).put({ x: 1 })
  t.deepEqual(await got, { x: 1 })

  const mine = a.portQueue('point', { codec: pointCodec })
  await mine.put({ x: 1, y: 2 })
  const plain = b.portQueue<Point>('point')
  for (const operation of [() => plain.tryGet(), () => plain.getMany(1), () => plain.tryPut({ x: 0, y: 0 })]) {
    throwsCode(t, operation, 'ERR_MILLRACE_OPTIONS_MISMATCH', 'point')
  }
  await rejectsCode(t, plain.get(), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'point')
  t.is(plain.depth, 1)
  t.deepEqual(await b.portQueue('point', { codec: pointCodec }).get(), { x: 1, y: 2 })
})

test('a queue that is destroyed before its codec was known', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const queue = a.portQueue('queue', { codec: 'json' })
  const late = b.portQueue('queue')
  const early = a.portQueue<unknown>('early')
  const waits = [early.get(), early.put({ not: 'bytes' })]
  a.portQueue('early', { codec: { ...pointCodec, name: 'other' } }).destroy()
  queue.destroy()
  for (const wait of waits) await rejectsCode(t, wait, 'ERR_MILLRACE_DESTROYED', 'early')
  await rejectsCode(t, late.get(), 'ERR_MILLRACE_DESTROYED', 'queue')
  await rejectsCode(t, late.put(new Uint8Array(1)), 'ERR_MILLRACE_DESTROYED', 'queue')
  throwsCode(t, () => late.tryGet(), 'ERR_MILLRACE_DESTROYED', 'queue')
  throwsCode(t, () => late.tryPut(new Uint8Array(1)), 'ERR_MILLRACE_DESTROYED', 'queue')
})

test('names of codecs', (t) => {
  const shm = openDomain(t)
  for (const name of ['', 'x'.repeat(32), 'ä'.repeat(16), 7]) {
    const open = () => shm.portQueue('queue', { codec: { name: name as string, encode, decode } })
    throwsCode(t, open, 'ERR_MILLRACE_INVALID_ARGUMENT', 'codec name')
  }
  t.is(shm.portQueue('queue', { codec: { encode, decode } }).info?.codec, 'custom')
})

test('a codec or type id that differs from what is recorded is an error that names both', (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  a.portQueue('typed', { codec: 'json', typeId: 7 })
  const { codec, typeId } = a.stats().queues['typed']!
  t.deepEqual({ codec, typeId }, { codec: 'json', typeId: 7 })
  throwsCode(t, () => b.portQueue('typed', { codec: 'v8' }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'json', 'v8', 'typed')
  throwsCode(t, () => b.portQueue('typed', { codec: pointCodec }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'json', 'point')
  throwsCode(t, () => b.portQueue('typed', { typeId: 8 }), 'ERR_MILLRACE_OPTIONS_MISMATCH', '7', '8', 'typed')
  throwsCode(t, () => b.portQueue('typed', { typeId: 0 }), 'ERR_MILLRACE_OPTIONS_MISMATCH', '7', '0')
  t.is(b.portQueue('typed', { codec: 'json', typeId: 7 }).info?.typeId, 7)
  t.is(b.portQueue('typed', {}).info?.codec, 'json')
})
