import test from 'ava'
import { type ShmManager, ShmObserver } from '../../index.js'
import { flipAllocated, isAllocated } from '../helpers/damage.js'
import { objectOf, testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'

const onLinux = process.platform === 'linux' ? test : test.skip

function poolOf(shm: ShmManager): string {
  return objectOf(shm, 'pool.0')
}

test('a domain at work is clean', async (t) => {
  const domain = testDomain(t)
  const [shm, other] = [domain.open(), domain.open()]
  const queue = shm.portQueue('queue', { delivery: 'at-least-once' })
  for (let i = 0; i < 5; i++) queue.tryPut(Buffer.from('x'))
  const leased = other.portQueue('queue').tryReceive()!
  const held = shm.allocate(1000)
  t.deepEqual(await shm.fsck(), [])
  t.deepEqual(await other.fsck({ timeout: 5000 }), [])
  t.deepEqual(await ShmObserver.open(domain.name).fsck(), [])
  leased.release()
  held.release()
})

onLinux('a buffer that nobody holds is named', async (t) => {
  const shm = testDomain(t).open()
  shm.allocate(10).release()
  const pool = poolOf(shm)
  const buffer = shm.registry.snapshot().pools[0]!.buffers - 1
  t.false(isAllocated(pool, buffer))
  const undo = flipAllocated(pool, buffer)
  const findings = await shm.fsck()
  undo()
  t.deepEqual(findings, [
    {
      kind: 'leaked',
      buffer,
      participant: null,
      queue: null,
      counted: 0,
      recorded: 0,
      message: `buffer ${buffer} is allocated and nobody holds it, its count says 0`,
    },
  ])
  t.deepEqual(await shm.fsck(), [])
})

onLinux('a buffer that is free while it is held is named', async (t) => {
  const shm = testDomain(t).open()
  const held = shm.allocate(10)
  const pool = poolOf(shm)
  const buffers = Array.from({ length: shm.registry.snapshot().pools[0]!.buffers }, (_, i) => i)
  const [buffer, ...others] = buffers.filter((index) => isAllocated(pool, index))
  t.deepEqual(others, [])
  const undo = flipAllocated(pool, buffer!)
  const findings = await shm.fsck()
  undo()
  t.is(findings.length, 1)
  t.like(findings[0], { kind: 'held-while-free', buffer: buffer!, counted: 1, recorded: 1 })
  t.deepEqual(await shm.fsck(), [])
  held.release()
})

test('bad options and a closed manager are refused', async (t) => {
  const shm = testDomain(t).open()
  await rejectsCode(t, shm.fsck({ timeout: -1 }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'timeout', '-1')
  await rejectsCode(t, shm.fsck(null as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'options')
  shm.close()
  await rejectsCode(t, shm.fsck(), 'ERR_MILLRACE_CLOSED')
})

test('a check under way outlives its manager', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  domain.open()
  const checked = shm.fsck()
  shm.close()
  t.deepEqual(await checked, [])
})
