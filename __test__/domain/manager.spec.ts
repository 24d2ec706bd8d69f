import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import test from 'ava'
import { MillraceError, type ShmManager } from '../../index.js'
import { leftovers, openDomain, removeLeftovers, testDomain, traceOf } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

test('every manager is a participant of its own', (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open({ name: 'first' }), domain.open()]
  t.is(a.domain, domain.name)
  t.is(a.directory, b.directory)
  t.not(a.participant, b.participant)
  const { participants } = b.registry.snapshot()
  t.deepEqual(new Set(participants.map(({ slot }) => slot)), new Set([a.participant, b.participant]))
  t.is(participants.length, 2)
  t.is(participants.find(({ slot }) => slot === a.participant)?.name, 'first')
  const program = basename(process.argv0)
  t.is(participants.find(({ slot }) => slot === b.participant)?.name, `${program} ${process.pid}`)
  t.true(participants.every(({ pid }) => pid === process.pid))
})

test('the last one out removes the domain', (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  a.portQueue('queue', {}).trySend(a.allocate(10))
  const trace = traceOf(a)
  a.close()
  t.is(b.registry.snapshot().participants.length, 1)
  t.is(b.portQueue('queue').tryReceive()?.length, 10)
  b.close()
  t.deepEqual(leftovers(trace), [])
})

test('persist keeps the domain, and the next one finds it', (t) => {
  const domain = testDomain(t)
  const first = domain.open({ persist: true })
  first.portQueue('queue', { capacity: 16 }).trySend(first.allocate(10))
  const trace = traceOf(first)
  t.teardown(() => removeLeftovers(trace))
  first.close()
  const second = domain.open()
  t.is(second.portQueue('queue').info?.capacity, 16)
  t.is(second.portQueue('queue').tryReceive()?.length, 10)
  throwsCode(t, () => domain.open({ persist: false }), 'ERR_MILLRACE_OPTIONS_MISMATCH', domain.name, 'persist')
  second.close()
  t.true(leftovers(trace).includes(trace.directory))
})

test('close is idempotent and using closes', (t) => {
  const domain = testDomain(t)
  let inside: ShmManager
  {
    using shm = domain.open()
    inside = shm
    t.false(shm.closed)
  }
  t.true(inside.closed)
  inside.close()
})

test('after close everything throws, and nothing crashes', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', {})
  const buffer = shm.allocate(64)
  const { bytes } = buffer
  bytes.fill(7)
  const waiting = [queue.receive(), queue.get(), shm.portQueue('later').receive()]
  const loops = [queue.consume(() => {}), queue.batches().next(), queue[Symbol.asyncIterator]().next()]
  shm.close()
  for (const wait of [...waiting, ...loops]) await rejectsCode(t, wait, 'ERR_MILLRACE_CLOSED', shm.domain)

  for (const operation of [
    () => shm.allocate(10),
    () => shm.allocateMany(10, 2),
    () => shm.portQueue('queue'),
    () => shm.stats(),
    () => shm.registry.snapshot(),
    () => shm.allocator.pools(),
    () => queue.trySend(buffer),
    () => queue.tryReceive(),
    () => queue.peek(),
    () => queue.tryPut(new Uint8Array(1)),
    () => queue.tryGet(),
    () => queue.getMany(1),
    () => queue.receiveMany(1),
    () => queue.info,
    () => queue.depth,
    () => queue.close(),
    () => queue.destroy(),
    () => buffer.bytes,
    () => buffer.length,
    () => buffer.tag,
    () => buffer.share(),
  ]) {
    throwsCode(t, operation, 'ERR_MILLRACE_CLOSED', shm.domain)
  }
  for (const operation of [
    () => shm.allocateAsync(10),
    () => queue.send(buffer),
    () => queue.receive(),
    () => queue.put(new Uint8Array(1)),
    () => queue.putMany([new Uint8Array(1)]),
    () => queue.get(),
    () => queue.consume(() => {}),
  ]) {
    await rejectsCode(t, operation(), 'ERR_MILLRACE_CLOSED', shm.domain)
  }
  t.notThrows(() => buffer.release())
  t.notThrows(() => bytes[0])
})

test('close gives back what is held and leaves what is queued', (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  a.allocateMany(1000, 10)
  const queue = a.portQueue('queue', {})
  queue.sendMany(a.allocateMany(1000, 3))
  t.is(b.stats().pools.find(({ bufferBytes }) => bufferBytes === 1024)?.used, 13)
  a.close()
  t.is(b.stats().pools.find(({ bufferBytes }) => bufferBytes === 1024)?.used, 3)
  t.is(b.portQueue('queue').depth, 3)
})

const descriptors = () => readdirSync('/proc/self/fd').length

test('opening and closing leaves no file descriptor behind', async (t) => {
  const domain = testDomain(t)
  const round = async () => {
    const shm = domain.open()
    const wait = shm.portQueue('queue', {}).receive()
    shm.close()
    await t.throwsAsync(wait, { instanceOf: MillraceError })
  }
  await round()
  const before = descriptors()
  for (let i = 0; i < 20; i++) await round()
  t.is(descriptors(), before)
})

test('diagnostics channels tell of open and close', (t) => {
  const domain = testDomain(t)
  const heard: unknown[] = []
  const record = (message: unknown, name: string | symbol) => heard.push([name, message])
  for (const name of ['millrace:open', 'millrace:close']) subscribe(name, record)
  const shm = domain.open()
  shm.close()
  shm.close()
  for (const name of ['millrace:open', 'millrace:close']) unsubscribe(name, record)
  const message = { domain: domain.name, participant: shm.participant }
  t.deepEqual(heard, [
    ['millrace:open', { ...message, opened: 'created', discarded: null }],
    ['millrace:close', message],
  ])
})

test('listening for lost participants does no harm', async (t) => {
  const shm = openDomain(t)
  shm.on('participant-lost', () => t.fail())
  await new Promise((resolve) => setImmediate(resolve))
  t.is(shm.registry.snapshot().recoveries, 0)
  shm.on('participant-lost', () => t.fail())
  shm.close()
  await new Promise((resolve) => setImmediate(resolve))
})
