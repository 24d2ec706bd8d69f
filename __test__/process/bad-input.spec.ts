// What callers get wrong: an error with a code of its own each time, and everything goes on.
import test from 'ava'
import { type ErrorCode, ShmManager } from '../../index.js'
import type { AttachArgs } from '../fixtures/attach.js'
import type { WaitArgs } from '../fixtures/wait.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { startChild } from './children.js'

const NAMES = ['', '.', '..', '../other', 'a/b', '/dev/shm/a', '-a', 'a b', 'a\0b', 'ä', 'x'.repeat(64), null, 7]
const NUMBERS = [0, -1, -0.5, 1.5, NaN, Infinity, -Infinity, 2 ** 20 + 1, 2 ** 32, 2 ** 53, '8', null, {}, 8n]

/** Everything still works. */
function works(shm: ShmManager): boolean {
  using buffer = shm.allocate(10)
  const queue = shm.portQueue('works', { capacity: 2 })
  queue.trySend(buffer)
  using message = queue.tryReceive()
  return message?.length === 10
}

test('names', (t) => {
  const shm = testDomain(t).open()
  for (const name of NAMES) {
    throwsCode(t, () => ShmManager.open(name as string), 'ERR_MILLRACE_INVALID_NAME', 'domain')
    throwsCode(t, () => shm.portQueue(name as string, {}), 'ERR_MILLRACE_INVALID_NAME', 'queue')
    throwsCode(t, () => shm.portQueue(name as string), 'ERR_MILLRACE_INVALID_NAME', 'queue')
  }
  t.true(works(shm))
})

test('capacities and sizes', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  for (const number of NUMBERS as number[]) {
    throwsCode(t, () => shm.portQueue('queue', { capacity: number }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'capacity')
  }
  for (const bytes of [-1, 1.5, NaN, Infinity, '8', null] as number[]) {
    throwsCode(t, () => shm.allocate(bytes), 'ERR_MILLRACE_INVALID_ARGUMENT', 'bytes')
    await rejectsCode(t, shm.allocateAsync(bytes), 'ERR_MILLRACE_INVALID_ARGUMENT', 'bytes')
    throwsCode(t, () => ShmManager.open('unborn', { maxBytes: bytes }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'maxBytes')
  }
  throwsCode(t, () => shm.allocate(2 ** 31), 'ERR_MILLRACE_TOO_LARGE', '2147483648')
  throwsCode(t, () => shm.allocate(2 ** 53), 'ERR_MILLRACE_TOO_LARGE')
  // More than maxBytes: no release would make room for it.
  throwsCode(t, () => shm.allocate(2 ** 30), 'ERR_MILLRACE_TOO_LARGE', String(2 ** 30))
  t.true(works(shm))
})

test('options that differ at attach, in another process', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open({ maxBytes: '64MiB' })
  const queue = shm.portQueue('queue', {
    capacity: 8,
    overflow: 'block',
    delivery: 'at-most-once',
    producers: 'many',
    consumers: 'many',
    typeId: 0,
    codec: 'bytes',
  })
  const args: AttachArgs = {
    domain: domain.name,
    open: [{ maxBytes: '32MiB' }, { persist: true }],
    queue: 'queue',
    options: [
      { capacity: 16 },
      { overflow: 'latest' },
      { delivery: 'at-least-once' },
      { producers: 1 },
      { consumers: 1 },
      { typeId: 7 },
      { codec: 'json' },
    ],
  }
  const child = startChild(t, 'attach', args)
  const codes = await child.hear<ErrorCode[]>()
  t.deepEqual(
    codes,
    Array.from({ length: args.open.length + args.options.length }, () => 'ERR_MILLRACE_OPTIONS_MISMATCH'),
  )
  await child.done()
  t.is(Buffer.from(await queue.get()).toString(), 'well')
})

test('references that are not ours to send', async (t) => {
  const [domain, other] = [testDomain(t), testDomain(t)]
  const [shm, sibling, foreign] = [domain.open(), domain.open(), other.open()]
  const queue = shm.portQueue('queue', { capacity: 8 })
  const released = shm.allocate(10)
  released.release()
  const sent = shm.allocate(10)
  t.true(queue.trySend(sent))
  for (const buffer of [released, sent]) {
    throwsCode(t, () => queue.trySend(buffer), 'ERR_MILLRACE_RELEASED')
    throwsCode(t, () => queue.sendMany([buffer]), 'ERR_MILLRACE_RELEASED')
    throwsCode(t, () => queue.sendSync(buffer, { allowBlocking: true }), 'ERR_MILLRACE_RELEASED')
    await rejectsCode(t, queue.send(buffer), 'ERR_MILLRACE_RELEASED')
    throwsCode(t, () => buffer.bytes, 'ERR_MILLRACE_RELEASED')
    throwsCode(t, () => buffer.share(), 'ERR_MILLRACE_RELEASED')
  }
  for (const owner of [sibling, foreign]) {
    using buffer = owner.allocate(10)
    throwsCode(t, () => queue.trySend(buffer), 'ERR_MILLRACE_FOREIGN_BUFFER', owner.domain)
    t.false(buffer.released)
  }
  for (const nonsense of [null, undefined, 7, {}, new Uint8Array(4)] as never[]) {
    throwsCode(t, () => queue.trySend(nonsense), 'ERR_MILLRACE_INVALID_ARGUMENT')
  }
  t.is(queue.depth, 1)
  t.true(works(shm))
})

test('a second release does nothing, least of all to whoever has the buffer next', (t) => {
  const shm = testDomain(t).open({ maxBytes: '1MiB' })
  // The only buffer of its size there is room for.
  const first = shm.allocate(2 ** 20)
  first.release()
  const second = shm.allocate(2 ** 20)
  second.bytes[0] = 42
  first.release()
  t.is(buffersInUse(shm), 1)
  throwsCode(t, () => shm.allocate(2 ** 20), 'ERR_MILLRACE_EXHAUSTED')
  t.is(second.bytes[0], 42)
})

test('use after close', async (t) => {
  const domain = testDomain(t)
  const [shm, other] = [domain.open(), domain.open()]
  const queue = shm.portQueue('queue', { capacity: 2 })
  const buffer = shm.allocate(10)
  const waiting = queue.receive()
  shm.close()
  await rejectsCode(t, waiting, 'ERR_MILLRACE_CLOSED')
  throwsCode(t, () => shm.allocate(10), 'ERR_MILLRACE_CLOSED')
  throwsCode(t, () => queue.trySend(buffer), 'ERR_MILLRACE_CLOSED')
  throwsCode(t, () => queue.tryReceive(), 'ERR_MILLRACE_CLOSED')
  throwsCode(t, () => buffer.bytes, 'ERR_MILLRACE_CLOSED')
  t.true(works(other))
})

test('a queue is destroyed while other processes wait for it', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const full = shm.portQueue('full', { capacity: 1 })
  const empty = shm.portQueue('empty', { capacity: 1 })
  full.trySend(shm.allocate(10))
  const waiting = (
    [
      ['empty', 'message'],
      ['empty', 'message, blocking'],
      ['full', 'space'],
    ] as const
  ).map(([queue, what]) => startChild(t, 'wait', { domain: domain.name, queue, for: what } satisfies WaitArgs))
  await Promise.all(waiting.map((child) => child.started()))
  empty.destroy()
  full.destroy()
  for (const child of waiting) {
    t.is(await child.hear(), 'ERR_MILLRACE_DESTROYED')
    await child.done()
  }
  throwsCode(t, () => empty.tryReceive(), 'ERR_MILLRACE_DESTROYED')
  throwsCode(t, () => full.trySend(shm.allocate(10)), 'ERR_MILLRACE_DESTROYED')
  t.true(works(shm))
})
