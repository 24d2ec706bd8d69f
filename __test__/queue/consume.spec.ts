import test from 'ava'
import type { BufferPtr } from '../../index.js'
import { buffersInUse, openQueue } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'

const values = (count: number) => Array.from({ length: count }, (_, i) => new Uint8Array([i]))

test('consume hands over every message in order and resolves when the queue ends', async (t) => {
  const { shm, queue } = openQueue(t)
  const seen: number[] = []
  const done = queue.consume((message) => void seen.push(message.bytes[0]!))
  await queue.putMany(values(100))
  await queue.putMany(values(100))
  queue.close()
  await done
  t.deepEqual(seen, [...values(100).keys(), ...values(100).keys()])
  t.is(buffersInUse(shm), 0)
})

test('a handler that returns a promise gets the next message when that settles', async (t) => {
  const { queue } = openQueue(t)
  await queue.putMany(values(3))
  queue.close()
  const events: string[] = []
  await queue.consume(async (message) => {
    events.push(`begin ${message.bytes[0]}`)
    await new Promise((resolve) => setImmediate(resolve))
    events.push(`end ${message.bytes[0]}`)
  })
  t.deepEqual(events, ['begin 0', 'end 0', 'begin 1', 'end 1', 'begin 2', 'end 2'])
})

function fail(): never {
  throw new RangeError('no')
}

test('what the handler throws ends it; the message in hand is released, the others stay', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(values(3))
  await t.throwsAsync(queue.consume(fail), { instanceOf: RangeError })
  await t.throwsAsync(
    queue.consume(async () => fail()),
    { instanceOf: RangeError },
  )
  t.is(queue.depth, 1)
  t.is(buffersInUse(shm), 1)
})

test('an abort ends it without error, while it waits and while it works', async (t) => {
  const { queue } = openQueue(t)
  const waiting = new AbortController()
  const parked = queue.consume(() => {}, { signal: waiting.signal })
  waiting.abort()
  await parked
  await queue.putMany(values(3))
  const working = new AbortController()
  await queue.consume(() => working.abort(), { signal: working.signal })
  t.is(queue.depth, 2)
  await queue.consume(() => t.fail(), { signal: AbortSignal.abort() })
})

test('a destroyed queue ends it with an error', async (t) => {
  const { queue } = openQueue(t)
  const done = queue.consume(() => {})
  queue.destroy()
  await rejectsCode(t, done, 'ERR_MILLRACE_DESTROYED', 'queue')
})

test('a handler must be a function', async (t) => {
  const { queue } = openQueue(t)
  await rejectsCode(t, queue.consume(7 as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'handler', '7')
  await rejectsCode(
    t,
    queue.consume(() => {}, { signal: 7 as never }),
    'ERR_MILLRACE_INVALID_ARGUMENT',
    'signal',
  )
})

test('a backlog does not starve the event loop', async (t) => {
  const { queue } = openQueue(t, { capacity: 16 })
  const abort = new AbortController()
  setImmediate(() => abort.abort())
  await queue.put(new Uint8Array(1))
  await queue.consume(() => void queue.tryPut(new Uint8Array(1)), { signal: abort.signal })
  t.is(queue.depth, 1)
})

test('a message is released before the next one comes, and before a wait', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(values(3))
  const kept: BufferPtr[] = []
  let before: BufferPtr | undefined
  const done = queue.consume((message) => {
    t.true(before?.released ?? true)
    before = message
    if (message.bytes[0] === 1) kept.push(message.share())
    if (message.bytes[0] === 2) message.release()
  })
  t.is(queue.depth, 0)
  t.true(before?.released)
  t.is(buffersInUse(shm), 1)
  kept[0]!.release()
  t.is(buffersInUse(shm), 0)
  await queue.putMany(values(1))
  queue.close()
  await done
  t.is(buffersInUse(shm), 0)
})

test('the message in hand is released when the queue is destroyed meanwhile', async (t) => {
  const { shm, queue } = openQueue(t)
  await queue.putMany(values(3))
  await rejectsCode(
    t,
    queue.consume(() => queue.destroy()),
    'ERR_MILLRACE_DESTROYED',
  )
  t.is(buffersInUse(shm), 0)
})
