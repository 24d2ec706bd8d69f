import { once } from 'node:events'
import { Readable } from 'node:stream'
import test from 'ava'
import type { Batch } from '../../index.js'
import { buffersInUse, openQueue } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'

const values = (count: number) => Array.from({ length: count }, (_, i) => new Uint8Array([i]))

test('for await releases each message at the end of its turn and ends when the queue does', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(values(5))
  queue.close()
  const seen = []
  for await (const message of queue) {
    t.is(buffersInUse(shm), 5 - seen.length)
    seen.push(message)
  }
  t.is(seen.length, 5)
  t.true(seen.every((message) => message.released))
  t.is(buffersInUse(shm), 0)
})

test('using in the loop, and share to keep a message', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(values(3))
  queue.close()
  const kept = []
  for await (using message of queue) kept.push(message.share())
  t.deepEqual(
    kept.map((message) => message.bytes[0]),
    [0, 1, 2],
  )
  for (const message of kept) message.release()
  t.is(buffersInUse(shm), 0)
})

test('break and throw release the message in hand and leave the others', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(values(3))
  for await (const message of queue) {
    t.is(message.bytes[0], 0)
    break
  }
  t.is(buffersInUse(shm), 2)
  const failing = async () => {
    for await (const message of queue) throw new RangeError(`at ${message.bytes[0]}`)
  }
  await t.throwsAsync(failing(), { instanceOf: RangeError, message: 'at 1' })
  t.is(buffersInUse(shm), 1)
  t.is(queue.tryGet()?.[0], 2)
})

test('batches hold what is there, up to max, and are released at the end of their turn', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(values(10))
  queue.close()
  const lengths = []
  for await (const batch of queue.batches({ max: 4 })) lengths.push(batch.length)
  t.deepEqual(lengths, [4, 4, 2])
  t.is(buffersInUse(shm), 0)
})

test('batches wait, time out and abort', async (t) => {
  const { queue } = openQueue(t)
  const batches = queue.batches({ timeout: 5 })
  await rejectsCode(t, batches.next(), 'ERR_MILLRACE_TIMEOUT', 'queue')
  const next = batches.next()
  await queue.put(new Uint8Array(1))
  t.is((await next).value?.length, 1)
  await batches.return!()
  const signal = AbortSignal.abort(new RangeError('enough'))
  await t.throwsAsync(queue.batches({ signal }).next(), { instanceOf: RangeError })
})

test('an iterator that is ended while it waits takes nothing', async (t) => {
  const { shm, queue } = openQueue(t)
  const iterator = queue[Symbol.asyncIterator]()
  const next = iterator.next()
  await iterator.return!()
  await queue.put(new Uint8Array(1))
  t.deepEqual(await next, { value: undefined, done: true })
  t.deepEqual(await iterator.next(), { value: undefined, done: true })
  const stream = Readable.from(queue.batches())
  t.is(((await once(stream, 'data')) as [Batch])[0].length, 1)
  stream.destroy()
  await once(stream, 'close')
  await queue.put(new Uint8Array(1))
  t.is(queue.depth, 1)
  t.is(buffersInUse(shm), 1)
})

test('a busy loop over batches ends when its signal aborts', async (t) => {
  const { queue } = openQueue(t)
  const abort = new AbortController()
  await queue.put(new Uint8Array(1))
  const loop = async () => {
    for await (const batch of queue.batches({ signal: abort.signal })) {
      queue.tryPut(batch.at(0)!.copy())
      abort.abort(new RangeError('enough'))
    }
  }
  await t.throwsAsync(loop(), { instanceOf: RangeError })
  t.is(queue.depth, 1)
})

test('a loop that always finds messages lets the event loop turn', async (t) => {
  const { queue } = openQueue(t, { capacity: 16 })
  let turned = false
  setImmediate(() => (turned = true))
  await queue.put(new Uint8Array(1))
  for await (using message of queue) {
    t.is(message.length, 1)
    if (turned) break
    queue.tryPut(new Uint8Array(1))
  }
  t.true(turned)
})

test('messages of calls that overlap are all released', async (t) => {
  const { shm, queue } = openQueue(t)
  const iterator = queue[Symbol.asyncIterator]()
  const both = [iterator.next(), iterator.next()]
  await queue.putMany(values(2))
  const [first, second] = (await Promise.all(both)).map(({ value }) => value!)
  t.deepEqual([first!.bytes[0], second!.bytes[0]], [0, 1])
  await iterator.return!()
  t.true(first!.released && second!.released)
  t.is(buffersInUse(shm), 0)
})
