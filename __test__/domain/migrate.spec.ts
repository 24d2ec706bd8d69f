// Two builds of the package with different layouts, in one process.
import test from 'ava'
import type * as current from '../../index.js'
import { migrate, ShmManager } from '../../index.js'
import { buffersInUse, openDomain, openQueue, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { otherBuild } from '../helpers/other-build.js'

test('a domain is of one layout as long as somebody is in it; then the next to come makes it anew', async (t) => {
  const other = (await import(otherBuild(t))) as typeof current
  const { name } = testDomain(t)
  const old = other.ShmManager.open(name)
  const version = `millrace ${old.registry.snapshot().version}`
  throwsCode(t, () => ShmManager.open(name), 'ERR_MILLRACE_VERSION', name, version, `process ${process.pid}`)
  old.close()
  using shm = ShmManager.open(name)
  throwsCode(t, () => other.ShmManager.open(name), 'ERR_MILLRACE_VERSION', name, version, `process ${process.pid}`)
  t.deepEqual(shm.registry.snapshot().queues, [])
})

test('what persists is moved by a process that loads both versions: all of it, in order, with its metadata', async (t) => {
  const other = (await import(otherBuild(t))) as typeof current
  const { name } = testDomain(t)
  const count = 1000
  {
    using old = other.ShmManager.open(name, { persist: true })
    const queue = old.portQueue('jobs', { capacity: 1024, delivery: 'at-least-once', codec: 'json' })
    for (let i = 0; i < count; i++) {
      const message = old.allocate(100 * (i % 50))
      message.bytes.fill(i)
      message.sequence = BigInt(i)
      message.timestamp = BigInt(i) * 1000n
      message.tag = 2n ** 64n - 1n - BigInt(i)
      message.source = i
      message.typeId = i + 1
      await queue.send(message)
    }
  }
  throwsCode(t, () => ShmManager.open(name), 'ERR_MILLRACE_VERSION', name, 'persists', 'persist: false')

  const shm = openDomain(t)
  const target = shm.portQueue('jobs', { capacity: 64, codec: 'json' })
  using old = other.ShmManager.open(name, { persist: false })
  const moved = migrate(old.portQueue('jobs'), shm, target)
  for (let i = 0; i < count; i++) {
    using message = await target.receive()
    t.is(message.length, 100 * (i % 50))
    t.true(message.bytes.every((byte) => byte === (i & 255)))
    t.is(message.sequence, BigInt(i))
    t.is(message.timestamp, BigInt(i) * 1000n)
    t.is(message.timestampKind, 'relative')
    t.is(message.tag, 2n ** 64n - 1n - BigInt(i))
    t.is(message.source, i)
    t.is(message.typeId, i + 1)
  }
  t.is(await moved, count)
  t.is(old.portQueue('jobs').depth, 0)
  t.is(
    old.stats().pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0),
    0,
  )
  t.is(buffersInUse(shm), 0)
})

test('following ends with the queue, or with its signal; what has not been moved stays', async (t) => {
  const { shm, queue: from } = openQueue(t, { capacity: 8, delivery: 'at-least-once' })
  const to = shm.portQueue('to', { capacity: 8 })
  const abort = new AbortController()
  const followed = migrate(from, shm, to, { follow: true, signal: abort.signal })
  await from.put(Uint8Array.of(1))
  t.deepEqual(await to.get(), Uint8Array.of(1))
  abort.abort()
  t.is(await followed, 1)

  const again = migrate(from, shm, to, { follow: true })
  await from.put(Uint8Array.of(2))
  t.deepEqual(await to.get(), Uint8Array.of(2))
  from.close()
  t.is(await again, 1)
  t.is(buffersInUse(shm), 0)
})

test('a target that ends gives back what it has not taken', async (t) => {
  const { shm, queue: from } = openQueue(t, { capacity: 8, delivery: 'at-least-once' })
  const to = shm.portQueue('to', { capacity: 2 })
  for (let i = 0; i < 5; i++) await from.put(Uint8Array.of(i))
  const moved = migrate(from, shm, to)
  t.deepEqual(await to.get(), Uint8Array.of(0))
  to.destroy()
  await rejectsCode(t, moved, 'ERR_MILLRACE_DESTROYED')
  const left: number[] = []
  for (let message = from.tryReceive(); message !== null; message = from.tryReceive()) {
    left.push(message.bytes[0]!)
    message.release()
  }
  t.deepEqual(
    left.toSorted((one, other) => one - other),
    left,
  )
  t.is(left.at(-1), 4)
  t.is(buffersInUse(shm), 0)
})

test('bad arguments are named', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 2 })
  await rejectsCode(t, migrate(null as never, shm, queue), 'ERR_MILLRACE_INVALID_ARGUMENT', 'migrate from', 'null')
  await rejectsCode(
    t,
    migrate(queue, shm, queue, { follow: 1 as never }),
    'ERR_MILLRACE_INVALID_ARGUMENT',
    'follow',
    '1',
  )
})
