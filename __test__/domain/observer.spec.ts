import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import test from 'ava'
import { ShmManager, ShmObserver } from '../../index.js'
import { removeLeftovers, testDomain, traceOf } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

test('an observer sees what participants see and is none', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  shm.portQueue('queue', { capacity: 4 }).tryPut(Buffer.from('x'))
  const observer = ShmObserver.open(domain.name)
  t.deepEqual(observer.snapshot(), shm.registry.snapshot())
  t.is(observer.snapshot().participants.length, 1)
  t.deepEqual(observer.stalled(), [])
  t.deepEqual(await observer.fsck(), [])
})

test('there is nothing to observe where there is no domain, and none is made', (t) => {
  const name = `ava-${process.pid}-nowhere`
  throwsCode(t, () => ShmObserver.open(name), 'ERR_MILLRACE_NOT_FOUND', name)
  throwsCode(t, () => ShmObserver.open(name), 'ERR_MILLRACE_NOT_FOUND', name)
  throwsCode(t, () => ShmObserver.open(name, { directory: '/nowhere/at/all' }), 'ERR_MILLRACE_NOT_FOUND', '/nowhere')
  throwsCode(t, () => ShmObserver.open('no/name'), 'ERR_MILLRACE_INVALID_NAME', 'no/name')
  throwsCode(t, () => ShmObserver.open(name, { directory: 7 as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', '7')
})

test('a domain that nobody is in stays as it is', async (t) => {
  const name = `ava-${process.pid}-observed`
  const shm = ShmManager.open(name, { persist: true })
  const trace = traceOf(shm)
  t.teardown(() => removeLeftovers(trace))
  shm.portQueue('queue', { capacity: 4 }).tryPut(Buffer.from('x'))
  shm.close()
  const observer = ShmObserver.open(name)
  t.deepEqual(await observer.fsck(), [])
  t.like(observer.snapshot(), { participants: [], queues: [{ name: 'queue', depth: 1 }] })
})

test('who is evicted must be certain', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const { slot, epoch } = shm.registry.snapshot().participants[0]!
  await rejectsCode(t, shm.evict({ slot, epoch }), 'ERR_MILLRACE_INVALID_ARGUMENT', `${process.pid}`)
  await rejectsCode(t, shm.evict({ slot, epoch: epoch + 1 }), 'ERR_MILLRACE_NOT_FOUND', `${epoch + 1}`)
  await rejectsCode(t, shm.evict({ slot: 99, epoch }), 'ERR_MILLRACE_NOT_FOUND', '99')
  await rejectsCode(t, shm.evict({ slot: -1, epoch }), 'ERR_MILLRACE_INVALID_ARGUMENT', '-1')
  await rejectsCode(t, shm.evict(0 as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'participant')
  t.false(shm.closed)
  shm.allocate(1).release()
})

/** What descriptor `fd` of this process leads to. */
function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return '' // that of the listing itself, closed by now
  }
}

/** What this process has of a domain: descriptors in its directory, mappings of its memory. */
function possessions({ directory, objects }: ReturnType<typeof traceOf>): { descriptors: number; mappings: number } {
  const descriptors = readdirSync('/proc/self/fd').filter((fd) => targetOf(fd).startsWith(directory)).length
  const mappings = readFileSync('/proc/self/maps', 'utf8').split(objects).length - 1
  return { descriptors, mappings }
}

const onLinux = process.platform === 'linux' ? test : test.skip

onLinux('an observer that is closed has nothing of the domain any more, and an open one little', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  shm.portQueue('queue', { capacity: 4 }).tryPut(Buffer.from('x'))
  const trace = traceOf(shm)
  await shm.fsck()
  const before = possessions(trace)
  await Promise.all([shm.fsck(), shm.fsck()])
  t.deepEqual(possessions(trace), before, 'an fsck keeps nothing')
  const observers = Array.from({ length: 116 }, () => ShmObserver.open(domain.name))
  for (const observer of observers) observer.snapshot()
  t.true(possessions(trace).descriptors <= before.descriptors + observers.length, 'one descriptor each')
  const underWay = observers[0]!.fsck()
  for (const observer of observers) observer.close()
  t.deepEqual(await underWay, [])
  t.deepEqual(possessions(trace), before)
  const [closed] = observers
  closed!.close()
  throwsCode(t, () => closed!.snapshot(), 'ERR_MILLRACE_CLOSED', 'observer')
  throwsCode(t, () => closed!.stalled(), 'ERR_MILLRACE_CLOSED', 'observer')
  await rejectsCode(t, closed!.fsck(), 'ERR_MILLRACE_CLOSED', 'observer')
  await rejectsCode(t, closed!.evict({ slot: 0, epoch: 1 }), 'ERR_MILLRACE_CLOSED', 'observer')
})
