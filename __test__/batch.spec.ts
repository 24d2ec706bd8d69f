import test from 'ava'
import type { BufferPtr } from '../index.js'
import { buffersInUse, openQueue } from './helpers/domain.js'

test('a batch has its messages in order and releases them together', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(Array.from({ length: 5 }, (_, i) => new Uint8Array([i])))
  for await (const batch of queue.batches()) {
    t.is(batch.length, 5)
    t.deepEqual(
      [...batch].map((message) => message.bytes[0]),
      [0, 1, 2, 3, 4],
    )
    t.is(batch.at(4)?.bytes[0], 4)
    t.is(batch.at(-1), batch.at(4))
    t.is(batch.at(5), undefined)
    batch.release()
    batch.release()
    t.is(buffersInUse(shm), 0)
    break
  }
})

test('messages released, shared or sent on before are left alone', async (t) => {
  const { shm, queue } = openQueue(t)
  const onward = shm.portQueue('onward', {})
  await queue.putMany(Array.from({ length: 4 }, (_, i) => new Uint8Array([i])))
  const kept: BufferPtr[] = []
  for await (using batch of queue.batches({ max: 4 })) {
    batch.at(0)!.release()
    onward.trySend(batch.at(1)!)
    kept.push(batch.at(2)!.share())
    break
  }
  t.is(buffersInUse(shm), 2)
  t.is(onward.tryGet()?.[0], 1)
  t.is(kept[0]?.bytes[0], 2)
  for (const message of kept) message.release()
  t.is(buffersInUse(shm), 0)
})
