import test from 'ava'
import type { BufferPtr } from '../../index.js'
import { buffersInUse, openDomain, openQueue, testDomain } from '../helpers/domain.js'
import { testMapped } from '../helpers/mapped.js'
import { throwsCode } from '../helpers/errors.js'

testMapped('bytes are a view of shared memory: what one participant writes another reads, without copy', (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const buffer = a.allocate(1000)
  buffer.bytes.fill(7)
  t.is(buffer.bytes, buffer.bytes)
  a.portQueue('queue', {}).trySend(buffer)
  const message = b.portQueue('queue').tryReceive()!
  t.deepEqual(message.bytes, new Uint8Array(1000).fill(7))
  t.is(message.gap, 0)
  t.is(message.attempt, 1)
  t.false(message.redelivered)
  message.release()
})

test('metadata travels with the buffer', (t) => {
  const { shm, queue } = openQueue(t)
  const buffer = shm.allocate(8)
  t.is(buffer.timestampKind, 'none')
  t.is(buffer.attempt, 0)
  buffer.timestamp = 2n ** 64n - 1n
  t.is(buffer.timestampKind, 'relative')
  buffer.timestampKind = 'absolute'
  buffer.timestamp = 123n
  buffer.sequence = 2n ** 63n
  buffer.tag = 42n
  buffer.source = 2 ** 32 - 1
  buffer.typeId = 7
  queue.trySend(buffer)
  using message = queue.tryReceive()!
  const { timestamp, timestampKind, sequence, tag, source, typeId } = message
  t.deepEqual(
    { timestamp, timestampKind, sequence, tag, source, typeId },
    { timestamp: 123n, timestampKind: 'absolute', sequence: 2n ** 63n, tag: 42n, source: 2 ** 32 - 1, typeId: 7 },
  )
})

test('metadata out of range is refused', (t) => {
  const buffer = openDomain(t).allocate(8) as BufferPtr & Record<string, unknown>
  for (const field of ['timestamp', 'sequence', 'tag']) {
    for (const value of [-1n, 2n ** 64n, 1, '1', undefined]) {
      throwsCode(t, () => (buffer[field] = value), 'ERR_MILLRACE_INVALID_ARGUMENT', field)
    }
  }
  for (const field of ['source', 'typeId', 'length']) {
    for (const value of [-1, 2 ** 32, 1.5, NaN, 1n, '1', undefined]) {
      throwsCode(t, () => (buffer[field] = value), 'ERR_MILLRACE_INVALID_ARGUMENT', field)
    }
  }
  throwsCode(t, () => (buffer.timestampKind = 'later' as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'later')
})

test('length can be anything up to the capacity, and bytes follow', (t) => {
  using buffer = openDomain(t).allocate(10)
  buffer.bytes.fill(1)
  buffer.length = buffer.capacity
  t.is(buffer.bytes.length, 256)
  t.is(buffer.bytes[9], 1)
  buffer.length = 0
  t.is(buffer.bytes.length, 0)
  buffer.length = 3
  t.deepEqual(buffer.copy(), new Uint8Array([1, 1, 1]))
  throwsCode(t, () => (buffer.length = 257), 'ERR_MILLRACE_INVALID_ARGUMENT', 'length', '256', '257')
})

test('typed views, text and JSON are read in place', (t) => {
  const shm = openDomain(t)
  using floats = shm.allocate(16)
  floats.as(Float32Array).set([1, 2, 3, 4])
  t.deepEqual([...floats.as(Float32Array)], [1, 2, 3, 4])
  t.true(floats.as(Float32Array).buffer === floats.bytes.buffer)
  t.is(floats.as(BigUint64Array).length, 2)
  floats.length = 15
  throwsCode(t, () => floats.as(Float32Array), 'ERR_MILLRACE_INVALID_ARGUMENT', '15', '4')

  using text = shm.allocate(100)
  text.length = Buffer.from(text.bytes.buffer, text.bytes.byteOffset).write('{"a":"äöü €"}')
  t.is(text.text(), '{"a":"äöü €"}')
  t.deepEqual(text.json(), { a: 'äöü €' })
})

test('a copy outlives the release and is not shared', (t) => {
  const buffer = openDomain(t).allocate(4)
  buffer.bytes.set([1, 2, 3, 4])
  const copy = buffer.copy()
  buffer.bytes.fill(0)
  buffer.release()
  t.deepEqual(copy, new Uint8Array([1, 2, 3, 4]))
  t.true(copy.buffer instanceof ArrayBuffer)
  t.is(copy.buffer.byteLength, 4)
})

test('release frees; a second release and the end of using do nothing', (t) => {
  const shm = openDomain(t)
  {
    using buffer = shm.allocate(10)
    buffer.release()
    buffer.release()
    t.true(buffer.released)
    // Now somebody else's, who must not lose it to the releases of the first.
    const other = shm.allocate(10)
    buffer.release()
    t.is(buffersInUse(shm), 1)
    other.release()
  }
  t.is(buffersInUse(shm), 0)
})

test('after release everything throws', (t) => {
  const buffer = openDomain(t).allocate(8)
  buffer.release()
  for (const operation of [
    () => buffer.bytes,
    () => buffer.length,
    () => (buffer.length = 1),
    () => buffer.capacity,
    () => buffer.timestamp,
    () => (buffer.timestamp = 1n),
    () => buffer.timestampKind,
    () => buffer.sequence,
    () => buffer.tag,
    () => buffer.source,
    () => buffer.typeId,
    () => buffer.as(Uint8Array),
    () => buffer.text(),
    () => buffer.json(),
    () => buffer.copy(),
    () => buffer.share(),
  ]) {
    throwsCode(t, operation, 'ERR_MILLRACE_RELEASED', 'released')
  }
})

test('a sent buffer is no longer yours', (t) => {
  const { shm, queue } = openQueue(t)
  {
    using buffer = shm.allocate(8)
    t.true(queue.trySend(buffer))
    t.true(buffer.released)
    throwsCode(t, () => buffer.bytes, 'ERR_MILLRACE_RELEASED', 'sent')
    throwsCode(t, () => queue.trySend(buffer), 'ERR_MILLRACE_RELEASED', 'sent')
    buffer.release()
  }
  t.is(queue.depth, 1)
  t.is(buffersInUse(shm), 1)
  queue.tryReceive()!.release()
  t.is(buffersInUse(shm), 0)
})

test('share keeps a reference of your own', (t) => {
  const { shm, queue } = openQueue(t)
  const buffer = shm.allocate(8)
  buffer.bytes.fill(9)
  const mine = buffer.share()
  queue.trySend(buffer)
  const message = queue.tryReceive()!
  t.deepEqual(mine.bytes, message.bytes)
  message.release()
  t.is(mine.bytes[0], 9)
  t.is(buffersInUse(shm), 1)
  mine.release()
  t.is(buffersInUse(shm), 0)
})
