import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import test from 'ava'
import type * as millrace from '../../index.js'
import { type ParticipantLeft, type RecoveryReport, ShmManager } from '../../index.js'
import * as testing from '../../testing.js'
import { LeakError, TestDomain } from '../../testing.js'
import { buffersInUse } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'

const onPosix = process.platform === 'win32' ? test.skip : test

/** The error that a test domain is closed with. */
async function leaksOf(domain: TestDomain): Promise<LeakError> {
  try {
    await domain.close()
  } catch (error) {
    if (error instanceof LeakError) return error
    throw error
  }
  throw new Error('nothing has leaked')
}

test('a test domain is its own, and nothing is left of it', async (t) => {
  const [one, other] = [new TestDomain(), new TestDomain()]
  t.not(one.name, other.name)
  t.not(one.directory, other.directory)
  const [a, b] = [one.open(), one.open({ name: 'second' })]
  t.is(a.opened, 'created')
  t.is(b.opened, 'attached')
  t.is(other.open().opened, 'created')
  a.allocate(10).release()
  await one.close()
  await one.close()
  t.true(a.closed && b.closed)
  t.false(existsSync(one.directory))
  throwsCode(t, () => one.open(), 'ERR_MILLRACE_INVALID_ARGUMENT', one.name)
  {
    await using domain = other
    domain.open({ persist: false })
  }
  t.false(existsSync(other.directory))
  throwsCode(t, () => new TestDomain({ trak: true } as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'track')
})

test('what nobody has released is told with the stack that took it, without a collection of garbage', async (t) => {
  const domain = new TestDomain()
  const shm = domain.open()
  const queue = shm.portQueue('queue', {})
  const allocateAndForget = () => void shm.allocate(10)
  const receiveAndKeep = () => queue.tryReceive()!
  shm.allocate(10).release()
  await queue.put(new Uint8Array([1]))
  await queue.put(new Uint8Array([2]))
  allocateAndForget()
  const message = receiveAndKeep()
  message.share()
  queue.tryReceive()!.release()
  // Sent is not held.
  await queue.send(shm.allocate(10))
  const { held, left, message: text } = await leaksOf(domain)
  t.deepEqual(left, [])
  t.is(held.length, 3)
  t.true(held.every(({ participant }) => participant === shm.participant))
  const stacks = held.map(({ stack }) => stack)
  t.true(stacks[0]!.includes('allocateAndForget'), stacks[0])
  t.true(stacks[1]!.includes('receiveAndKeep'), stacks[1])
  t.true(text.includes('allocateAndForget') && text.includes(domain.name))
  t.false(existsSync(domain.directory), 'it is removed all the same')
})

test('a manager that is closed during the test tells, too; without tracking nobody does', async (t) => {
  const domain = new TestDomain()
  const shm = domain.open()
  shm.allocate(10)
  shm.close()
  t.is((await leaksOf(domain)).held.length, 1)
  const untracked = new TestDomain({ track: false })
  untracked.open().allocate(10)
  await t.notThrowsAsync(untracked.close())
})

test('who is still in a domain that ends is found', async (t) => {
  const domain = new TestDomain()
  domain.open()
  const stray = ShmManager.open(domain.name, { directory: domain.directory })
  const { held, left } = await leaksOf(domain)
  t.is(held.length, 0)
  t.true(left.includes(stray.directory), left.join())
  stray.close()
})

test('a peer holds, sends, takes and releases', async (t) => {
  await using domain = new TestDomain()
  const shm = domain.open()
  const queue = shm.portQueue('jobs', { delivery: 'at-least-once' })
  const peer = await domain.peer('worker')
  const names = shm.registry.snapshot().participants.map(({ name }) => name)
  t.true(names.includes('worker'))
  t.is(shm.registry.snapshot().participants.find(({ slot }) => slot === peer.participant)?.pid, peer.pid)
  await peer.hold(1000, 3)
  t.is(buffersInUse(shm), 3)
  await peer.send('jobs', new Uint8Array([1]), new Uint8Array([2, 3]))
  t.deepEqual(await peer.take('jobs', 2), [new Uint8Array([1]), new Uint8Array([2, 3])])
  t.is(queue.stats()?.leased, 2)
  t.is(await peer.release(), 5)
  t.is(queue.stats()?.leased, 0)
  t.is(buffersInUse(shm), 0)
  shm.portQueue('single', { consumers: 1 }).tryReceive()
  const error = await t.throwsAsync(peer.take('single'), { message: /single/ })
  t.is((error as { code?: string }).code, 'ERR_MILLRACE_ROLE')
  await t.throwsAsync(async () => peer.dieAt('sometime' as never), { message: /moment/ })
})

test('a peer dies on command, at the moment that it was told', async (t) => {
  await using domain = new TestDomain()
  const shm = domain.open()
  const queue = shm.portQueue('jobs', { delivery: 'at-least-once' })
  const peer = await domain.peer()
  await queue.putMany([1, 2, 3].map((byte) => new Uint8Array([byte])))
  await peer.dieAt('received', 2)
  const lost = once(shm, 'participant-lost')
  await t.throwsAsync(peer.take('jobs', 3), { message: /peer 0.*SIGKILL/ })
  t.deepEqual(await peer.ended, { code: null, signal: 'SIGKILL' })
  const [{ redelivered, pid }] = (await lost) as [RecoveryReport]
  t.deepEqual([redelivered, pid], [2, peer.pid])
  for (const [byte, attempt] of [
    [1, 2],
    [2, 2],
    [3, 1],
  ]) {
    using message = await queue.receive()
    t.deepEqual([message.bytes[0], message.attempt], [byte, attempt])
  }
  await t.throwsAsync(peer.hold(10), { message: /SIGKILL/ })
  for (const [moment, left] of [
    ['allocated', 0],
    ['sent', 1],
  ] as const) {
    const other = await domain.peer()
    await other.dieAt(moment)
    const recovered = once(shm, 'participant-lost')
    await t.throwsAsync(other.send('jobs', new Uint8Array([4]), new Uint8Array([5])))
    await recovered
    t.is(queue.depth, left, moment)
    t.is(buffersInUse(shm), left, moment)
  }
})

test('a peer leaves as programs do', async (t) => {
  await using domain = new TestDomain()
  const shm = domain.open()
  const [closes, exits, dies] = [await domain.peer(), await domain.peer(), await domain.peer()]
  const leaves = async (leaving: Promise<unknown>) => {
    const [[report]] = (await Promise.all([once(shm, 'participant-left'), leaving])) as [[ParticipantLeft], unknown]
    return [report.reason, report.code, report.pid]
  }
  t.deepEqual(await leaves(closes.close()), ['closed', undefined, closes.pid])
  t.deepEqual(await leaves(exits.exit(3)), ['exited', 3, exits.pid])
  t.deepEqual(await exits.ended, { code: 3, signal: null })
  t.deepEqual(await leaves(dies.kill()), ['died', undefined, dies.pid])
})

onPosix('a peer stands still, and goes on', async (t) => {
  await using domain = new TestDomain()
  const shm = domain.open()
  const queue = shm.portQueue('queue', {})
  const peer = await domain.peer()
  const stalled = once(shm, 'participant-stalled')
  await peer.stop()
  const take = peer.take('queue')
  await queue.put(new Uint8Array([1]))
  const [{ pid }] = (await stalled) as [{ pid: number }]
  t.is(pid, peer.pid)
  t.is(queue.depth, 1)
  peer.resume()
  t.deepEqual(await take, [new Uint8Array([1])])
})

test('CommonJS has the same, with the managers of its own index', async (t) => {
  const require = createRequire(import.meta.url)
  const other = require('../../testing.cjs') as typeof testing
  const { ShmManager: Manager } = require('../../index.cjs') as typeof millrace
  t.deepEqual(Object.keys(other).toSorted(), Object.keys(testing).toSorted())
  await using domain = new other.TestDomain()
  t.true(domain.open() instanceof Manager)
  const peer = await domain.peer()
  await peer.hold(10)
  t.is((await peer.exit()).code, 0)
})
