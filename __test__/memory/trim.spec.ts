import test from 'ava'
import { type BufferPtr, type ShmManager } from '../../index.js'
import { buffersInUse, openDomain, testDomain } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'

const MIB = 2 ** 20

function usedBytes(shm: ShmManager): number {
  return shm.registry.snapshot().usedBytes
}

function isFilled(buffer: BufferPtr, byte: number): boolean {
  return buffer.bytes.every((b) => b === byte)
}

test('a large buffer can be had after a burst of small ones', async (t) => {
  const shm = openDomain(t, { maxBytes: 16 * MIB })
  const queue = shm.portQueue('q', { capacity: 65_536 })
  const small = new Uint8Array(200).fill(1)
  let sent = 0
  while (queue.tryPut(small)) sent++
  for (const message of queue.receiveMany(sent)) message.release()
  await queue.put(new Uint8Array(MIB).fill(2))
  using large = queue.tryReceive()!
  t.is(large.length, MIB)
  t.true(isFilled(large, 2))
})

test('who waits for a large buffer gets it when the small ones come back', async (t) => {
  const shm = openDomain(t, { maxBytes: 8 * MIB })
  const queue = shm.portQueue('q', { capacity: 32_768 })
  let sent = 0
  while (queue.tryPut(new Uint8Array(2000))) sent++
  let came = false
  const wait = shm.allocator.allocateAsync(4 * MIB).then((buffer) => {
    came = true
    return buffer
  })
  await new Promise(setImmediate)
  t.false(came)
  for (const message of queue.receiveMany(sent)) message.release()
  using buffer = await wait
  t.is(buffer.length, 4 * MIB)
})

test('trim gives back what nobody uses, and only that', (t) => {
  const shm = openDomain(t)
  using kept = shm.allocate(5000)
  kept.bytes.fill(7)
  shm.allocate(3 * MIB).release()
  for (const buffer of shm.allocateMany(100_000, 20)) buffer.release()
  const before = usedBytes(shm)
  const { segments, bytes } = shm.trim()
  t.is(segments, 2)
  t.true(bytes > 5 * MIB)
  t.is(usedBytes(shm), before - bytes)
  t.deepEqual(shm.trim(), { segments: 0, bytes: 0 })
  t.true(isFilled(kept, 7))
})

test('a segment that comes in the place of another is met by everybody, and old views never see it', (t) => {
  const domain = testDomain(t)
  const managers = [domain.open(), domain.open()] as const
  const queues = [managers[0].portQueue('q', { capacity: 16 }), managers[1].portQueue('q')] as const
  const old: Uint8Array[] = []
  for (const [round, size] of [5000, 2 * MIB, 300, 70_000, 1000].entries()) {
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const buffer = managers[from].allocate(size)
      buffer.bytes.fill(round + 1)
      old.push(buffer.bytes)
      t.true(queues[from].trySend(buffer))
      using message = queues[to].tryReceive()!
      old.push(message.bytes)
      t.is(message.length, size)
      t.true(isFilled(message, round + 1))
    }
    // The ring's segment stays.
    t.is(managers[round % 2]!.trim().segments, 1)
  }
  // Of the managers that have noticed, as of their next operation: zeros, or what was there.
  for (const shm of managers) shm.allocate(10).release()
  for (const [i, view] of old.entries()) t.true([0, (i >> 2) + 1].includes(view[0] ?? 0))
  t.is(buffersInUse(managers[0]), 0)
})

test('trim of a closed manager throws', (t) => {
  const shm = openDomain(t)
  shm.close()
  throwsCode(t, () => shm.trim(), 'ERR_MILLRACE_CLOSED')
})
