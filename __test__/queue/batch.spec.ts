import test from 'ava'
import type { Batch, BufferPtr } from '../../index.js'
import { buffersInUse, openQueue } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'

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

test('bytes of a batch are there without its messages, as long as it is', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(Array.from({ length: 4 }, (_, i) => new Uint8Array([i])))
  for await (const batch of queue.batches()) {
    t.deepEqual(
      [0, 1, 2, 3].map((i) => batch.bytes(i)[0]),
      [0, 1, 2, 3],
    )
    throwsCode(t, () => batch.bytes(4), 'ERR_MILLRACE_INVALID_ARGUMENT')
    throwsCode(t, () => batch.bytes(-1), 'ERR_MILLRACE_INVALID_ARGUMENT')
    // One is looked at and goes; the others are still there.
    batch.at(1)!.release()
    throwsCode(t, () => batch.bytes(1), 'ERR_MILLRACE_RELEASED')
    t.is(batch.bytes(2)[0], 2)
    batch.release()
    throwsCode(t, () => batch.bytes(2), 'ERR_MILLRACE_RELEASED')
    break
  }
  t.is(buffersInUse(shm), 0)
})

test('a batch that was released has messages that are released', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(Array.from({ length: 4 }, (_, i) => new Uint8Array([i])))
  let kept: Batch | undefined
  for await (const batch of queue.batches()) {
    kept = batch
    break
  }
  t.is(buffersInUse(shm), 0)
  throwsCode(t, () => kept!.bytes(0), 'ERR_MILLRACE_RELEASED')
  t.true(kept!.at(0)!.released)
  t.deepEqual(
    [...kept!].map(({ gap, attempt }) => [gap, attempt]),
    [
      [0, 1],
      [0, 1],
      [0, 1],
      [0, 1],
    ],
  )
  kept!.release()
  kept!.nack()
  t.is(buffersInUse(shm), 0)
})

test('bytes of a batch end with the manager', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany([new Uint8Array([1])])
  const { value: batch } = await queue.batches().next()
  t.is(batch!.bytes(0)[0], 1)
  shm.close()
  throwsCode(t, () => batch!.bytes(0), 'ERR_MILLRACE_CLOSED')
})
