import test from 'ava'
import { openDomain, openQueue } from '../helpers/domain.js'
import { testMapped } from '../helpers/mapped.js'

testMapped('a transfer list cannot take the mapping away', (t) => {
  const shm = openDomain(t)
  const { bytes } = shm.allocate(100)
  bytes.fill(3)
  try {
    // Node.js 20 clones it, later ones refuse.
    t.deepEqual(new Uint8Array(structuredClone(bytes.buffer, { transfer: [bytes.buffer] }), 0, 100), bytes)
  } catch (error) {
    t.is((error as DOMException).name, 'DataCloneError')
  }
  t.deepEqual(bytes, new Uint8Array(100).fill(3))
})

const canTransfer = 'transfer' in ArrayBuffer.prototype ? test : test.skip

canTransfer('user code that takes the mapping over harms nothing but its own views', (t) => {
  const { shm, queue } = openQueue(t)
  const buffer = shm.allocate(100)
  buffer.bytes.fill(3)
  const taken = (buffer.bytes.buffer as ArrayBuffer & { transfer(): ArrayBuffer }).transfer()
  t.deepEqual(buffer.bytes, new Uint8Array(100).fill(3))
  t.is(new Uint8Array(taken)[buffer.bytes.byteOffset], 3)
  buffer.bytes[0] = 4
  queue.trySend(buffer)
  t.is(queue.tryGet()?.[0], 4)
  t.true(queue.tryPut(new Uint8Array([5])))
  t.is(queue.tryGet()?.[0], 5)
  shm.close()
  t.true(new Uint8Array(taken).every((byte) => byte === 0))
})

testMapped('views of one segment share one mapping', (t) => {
  const shm = openDomain(t)
  const [a, b] = shm.allocateMany(100, 2)
  t.is(a!.bytes.buffer, b!.bytes.buffer)
  t.not(a!.bytes.byteOffset, b!.bytes.byteOffset)
})
