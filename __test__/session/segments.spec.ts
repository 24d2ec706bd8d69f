import test from 'ava'
import { openDomain, openQueue } from '../helpers/domain.js'

test('user code that detaches the mapping harms nothing but its own views', (t) => {
  const { shm, queue } = openQueue(t)
  const buffer = shm.allocate(100)
  buffer.bytes.fill(3)
  const mapping = buffer.bytes.buffer
  try {
    structuredClone(mapping, { transfer: [mapping as ArrayBuffer] })
  } catch {
    // Not every mapping can be detached, which is as well.
  }
  t.deepEqual(buffer.bytes, new Uint8Array(100).fill(3))
  buffer.bytes[0] = 4
  queue.trySend(buffer)
  t.is(queue.tryGet()?.[0], 4)
  t.true(queue.tryPut(new Uint8Array([5])))
  t.is(queue.tryGet()?.[0], 5)
})

test('views of one segment share one mapping', (t) => {
  const shm = openDomain(t)
  const [a, b] = shm.allocateMany(100, 2)
  t.is(a!.bytes.buffer, b!.bytes.buffer)
  t.not(a!.bytes.byteOffset, b!.bytes.byteOffset)
})
