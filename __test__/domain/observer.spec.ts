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
