import test from 'ava'
import { type BufferPtr, MillraceError } from '../../index.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { takeAll } from '../helpers/pool.js'

const MIB = 2 ** 20

test('allocate returns a buffer of that length with room for its size class', (t) => {
  const shm = openDomain(t)
  for (const [bytes, capacity] of [
    [0, 256],
    [1, 256],
    [256, 256],
    [257, 512],
    [100_000, 131_072],
    [MIB, MIB],
  ] as const) {
    using buffer = shm.allocate(bytes)
    t.is(buffer.length, bytes)
    t.is(buffer.bytes.length, bytes)
    t.is(buffer.capacity, capacity)
    t.is(buffer.bytes.byteOffset % (capacity >= 4096 ? 4096 : 64), 0)
  }
  t.is(buffersInUse(shm), 0)
})

test('a buffer that was used before comes back with fresh metadata', (t) => {
  const shm = openDomain(t)
  const first = shm.allocateMany(100, 100)
  for (const buffer of first) {
    Object.assign(buffer, { timestamp: 1n, timestampKind: 'sample', sequence: 2n, tag: 3n, source: 4, typeId: 5 })
  }
  for (const buffer of first) buffer.release()
  for (const buffer of shm.allocateMany(100, 200)) {
    const { timestamp, timestampKind, sequence, tag, source, typeId } = buffer
    t.deepEqual([timestamp, timestampKind, sequence, tag, source, typeId], [0n, 'none', 0n, 0n, 0, 0])
    buffer.release()
  }
})

test('allocateMany returns distinct buffers, across batches', (t) => {
  const shm = openDomain(t)
  const buffers = shm.allocateMany(300, 1000)
  t.is(buffers.length, 1000)
  for (const [i, buffer] of buffers.entries()) buffer.as(Uint32Array)[0] = i
  t.deepEqual(
    buffers.map((buffer) => buffer.as(Uint32Array)[0]),
    Array.from({ length: 1000 }, (_, i) => i),
  )
  t.is(buffersInUse(shm), 1000)
  for (const buffer of buffers) buffer.release()
  t.is(buffersInUse(shm), 0)
  t.deepEqual(shm.allocateMany(300, 0), [])
})

test('arguments that are no sizes or counts', (t) => {
  const shm = openDomain(t)
  for (const bytes of [NaN, -1, 1.5, '10', null, undefined, 10n]) {
    throwsCode(t, () => shm.allocate(bytes as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'bytes')
    throwsCode(t, () => shm.allocateMany(bytes as never, 1), 'ERR_MILLRACE_INVALID_ARGUMENT', 'bytes')
  }
  for (const count of [NaN, -1, 1.5, 2 ** 21, '10', null]) {
    throwsCode(t, () => shm.allocateMany(10, count as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'count')
  }
})

test('a buffer that no domain can hold', async (t) => {
  const shm = openDomain(t)
  for (const bytes of [2 ** 31, 2 ** 32, 2 ** 32 + 10, Number.MAX_SAFE_INTEGER]) {
    throwsCode(t, () => shm.allocate(bytes), 'ERR_MILLRACE_TOO_LARGE', String(bytes))
    await rejectsCode(t, shm.allocateAsync(bytes), 'ERR_MILLRACE_TOO_LARGE', String(bytes))
  }
})

test('an exhausted pool says who holds what', (t) => {
  const shm = openDomain(t, { maxBytes: '8MiB', name: 'hoarder' })
  const held: BufferPtr[] = []
  const fill = () => {
    for (;;) held.push(shm.allocate(MIB))
  }
  throwsCode(t, fill, 'ERR_MILLRACE_EXHAUSTED', String(MIB), 'hoarder')
  t.true(held.length >= 1 && held.length <= 8, `${held.length} buffers`)
  throwsCode(t, () => shm.allocateMany(MIB, 2), 'ERR_MILLRACE_EXHAUSTED')
  t.is(buffersInUse(shm), held.length)
})

test('allocateMany is all or nothing', (t) => {
  const shm = openDomain(t, { maxBytes: '8MiB' })
  throwsCode(t, () => shm.allocateMany(MIB, 100), 'ERR_MILLRACE_EXHAUSTED')
  t.is(buffersInUse(shm), 0)
})

test('allocateAsync waits for a buffer to come back, first come first served', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open({ maxBytes: '8MiB' }), domain.open()]
  const held: BufferPtr[] = []
  t.throws(
    () => {
      for (;;) held.push(a.allocate(MIB))
    },
    { instanceOf: MillraceError },
  )
  const order: string[] = []
  const waits = ['first', 'second'].map(async (name) => {
    const buffer = await b.allocateAsync(MIB)
    order.push(name)
    return buffer
  })
  held.pop()!.release()
  await waits[0]
  t.deepEqual(order, ['first'])
  held.pop()!.release()
  await Promise.all(waits)
  t.deepEqual(order, ['first', 'second'])
})

test('allocateAsync times out and can be aborted', async (t) => {
  const shm = openDomain(t, { maxBytes: '8MiB' })
  t.throws(
    () => {
      for (;;) shm.allocate(MIB)
    },
    { instanceOf: MillraceError },
  )
  await rejectsCode(t, shm.allocateAsync(MIB, { timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', String(MIB), '1 ms')
  const abort = new AbortController()
  const wait = shm.allocateAsync(MIB, { signal: abort.signal })
  abort.abort(new RangeError('enough'))
  await t.throwsAsync(wait, { instanceOf: RangeError, message: 'enough' })
})

test('allocateManyAsync waits until there are so many, and keeps none meanwhile', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open({ maxBytes: '8MiB' }), domain.open()]
  const all = takeAll(a, MIB)
  const order: string[] = []
  const took = async (name: string, buffers: Promise<BufferPtr[]>) => {
    const got = await buffers
    order.push(name)
    return got
  }
  const many = took('many', b.allocateManyAsync(MIB, 3))
  // Of the same size, so it comes after those who were first.
  const one = took('one', b.allocateManyAsync(MIB, 1))
  const next = took(
    'next',
    b.allocateAsync(MIB).then((buffer) => [buffer]),
  )
  for (let i = 0; i < 2; i++) {
    all.pop()!.release()
    await new Promise((resolve) => setImmediate(resolve))
    t.is(buffersInUse(a), all.length)
  }
  all.pop()!.release()
  t.is((await many).length, 3)
  t.deepEqual(order, ['many'])
  t.is(buffersInUse(a), all.length + 3)
  for (const buffer of await many) buffer.release()
  t.is((await one).length + (await next).length, 2)
  t.deepEqual(order, ['many', 'one', 'next'])
  t.deepEqual(await b.allocateManyAsync(MIB, 0), [])
})

test('allocateManyAsync grows the pool, and takes the memory of other sizes', async (t) => {
  const shm = openDomain(t, { maxBytes: '16MiB' })
  const large = takeAll(shm, MIB)
  const wait = shm.allocateManyAsync(MIB / 4, large.length)
  for (const buffer of large) buffer.release()
  const small = await wait
  for (const [i, buffer] of small.entries()) buffer.as(Uint32Array)[0] = i
  for (const [i, buffer] of small.entries()) t.is(buffer.as(Uint32Array)[0], i)
  t.is(buffersInUse(shm), large.length)
  for (const buffer of small) buffer.release()
  const many = await shm.allocateManyAsync(300, 1000)
  t.is(buffersInUse(shm), 1000)
  for (const buffer of many) buffer.release()
})

test('a wait for many ends by time, signal and close, and nothing is left of it', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open({ maxBytes: '8MiB' }), domain.open()]
  const all = takeAll(a, MIB)
  all.pop()!.release()
  await rejectsCode(t, b.allocateManyAsync(MIB, 2, { timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', '2 buffers', String(MIB))
  const abort = new AbortController()
  const aborted = b.allocateManyAsync(MIB, 2, { signal: abort.signal })
  const behind = b.allocateManyAsync(MIB, 1)
  abort.abort(new RangeError('enough'))
  await t.throwsAsync(aborted, { instanceOf: RangeError, message: 'enough' })
  t.is((await behind).length, 1, 'who came later goes on')
  const waiting = b.allocateManyAsync(MIB, 2)
  b.close()
  await rejectsCode(t, waiting, 'ERR_MILLRACE_CLOSED')
  t.is(buffersInUse(a), all.length)
  await rejectsCode(t, a.allocateManyAsync(MIB, 9), 'ERR_MILLRACE_TOO_LARGE', 'maxBytes 8388608', '9 buffers')
  for (const count of [NaN, -1, 1.5, 2 ** 21, '10', null]) {
    await rejectsCode(t, a.allocateManyAsync(10, count as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'count')
  }
})

test('pools are the size classes in use', (t) => {
  const shm = openDomain(t)
  using small = shm.allocate(200)
  using large = shm.allocate(70_000)
  t.is(small.length + large.length, 70_200)
  const pools = shm.allocator.pools()
  t.deepEqual(
    pools.filter((pool) => pool.stats().used > 0).map(({ bufferBytes }) => bufferBytes),
    [256, 131_072],
  )
  const pool = pools.find(({ bufferBytes }) => bufferBytes === 131_072)!
  using whole = pool.allocate()
  t.is(whole.length, 131_072)
  for (const buffer of pool.allocateMany(3)) buffer.release()
  const { used, buffers, segments } = pool.stats()
  t.is(used, 2)
  t.true(buffers >= 5 && segments >= 1)
})

test('what the budget can never hold is refused, and not waited for', async (t) => {
  const shm = openDomain(t, { maxBytes: MIB })
  throwsCode(t, () => shm.allocate(2 * MIB), 'ERR_MILLRACE_TOO_LARGE', 'maxBytes')
  await rejectsCode(t, shm.allocateAsync(2 * MIB), 'ERR_MILLRACE_TOO_LARGE', 'maxBytes')
  const queue = shm.portQueue('queue', {})
  await rejectsCode(t, queue.put(new Uint8Array(2 * MIB)), 'ERR_MILLRACE_TOO_LARGE', 'maxBytes')
  t.is(buffersInUse(shm), 0)
})
