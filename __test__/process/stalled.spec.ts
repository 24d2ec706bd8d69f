// Stopped is not dead: a process that is stalled is reported, keeps what it has, and goes on; or it is evicted.
import { once } from 'node:events'
import test, { type ExecutionContext } from 'ava'
import {
  type ParticipantStats,
  type RecoveryReport,
  type ShmManager,
  ShmObserver,
  type StallReport,
} from '../../index.js'
import type { HoldArgs } from '../fixtures/hold.js'
import { buffersInUse, type TestDomain, testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { type Child, startChild } from './children.js'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

/** A process that holds the two messages there were. */
async function startHolding(t: ExecutionContext, domain: TestDomain, shm: ShmManager): Promise<Child> {
  const queue = shm.portQueue('queue', { capacity: 4 })
  for (let i = 0; i < 2; i++) queue.trySend(shm.allocate(10))
  return startChild(t, 'hold', { domain: domain.name, queue: 'queue' } satisfies HoldArgs).started()
}

function participantOf(shm: ShmManager, child: Child): ParticipantStats {
  return shm.registry.snapshot().participants.find(({ pid }) => pid === child.pid)!
}

async function next(shm: ShmManager, event: 'participant-stalled' | 'participant-resumed'): Promise<StallReport> {
  const [report] = (await once(shm, event)) as [StallReport]
  return report
}

onLinux('a stopped process is reported as stalled, and as resumed when it goes on', async (t) => {
  const domain = testDomain(t)
  t.timeout(60_000)
  const shm = domain.open()
  const child = await startHolding(t, domain, shm)
  const { slot, epoch, name, stalled } = participantOf(shm, child)
  t.is(stalled, null)
  const expected: StallReport = { slot, epoch, pid: child.pid, name, phase: 'outside' }
  for (let round = 0; round < 2; round++) {
    const stopped = next(shm, 'participant-stalled')
    child.signal('SIGSTOP')
    t.deepEqual(await stopped, expected)
    t.is(participantOf(shm, child).stalled, 'outside')
    t.deepEqual(ShmObserver.open(domain.name).stalled(), [expected])
    const resumed = next(shm, 'participant-resumed')
    child.signal('SIGCONT')
    t.deepEqual(await resumed, expected)
    t.is(participantOf(shm, child).stalled, null)
  }
  t.is(shm.registry.snapshot().recoveries, 0)
  t.is(buffersInUse(shm), 2)
})

onLinux('who listens later hears of a process that was stopped before', async (t) => {
  const domain = testDomain(t)
  t.timeout(60_000)
  const [shm, late] = [domain.open(), domain.open()]
  const child = await startHolding(t, domain, shm)
  const stopped = next(shm, 'participant-stalled')
  child.signal('SIGSTOP')
  await stopped
  t.is((await next(late, 'participant-stalled')).pid, child.pid)
})

onLinux('a stopped process that dies is lost, not resumed', async (t) => {
  const domain = testDomain(t)
  t.timeout(60_000)
  const shm = domain.open()
  const child = await startHolding(t, domain, shm)
  shm.on('participant-resumed', ({ pid }) => t.fail(`${pid} resumed`))
  const stopped = next(shm, 'participant-stalled')
  child.signal('SIGSTOP')
  await stopped
  const lost = once(shm, 'participant-lost')
  await child.kill()
  t.like((await lost)[0] as RecoveryReport, { pid: child.pid, lost: 2, freed: 2 })
  t.deepEqual(ShmObserver.open(domain.name).stalled(), [])
})

for (const stop of [false, true]) {
  onLinux(`a ${stop ? 'stopped' : 'running'} process is evicted, and what it held comes back`, async (t) => {
    const domain = testDomain(t)
    t.timeout(60_000)
    const shm = domain.open()
    const child = await startHolding(t, domain, shm)
    const participant = participantOf(shm, child)
    if (stop) child.signal('SIGSTOP')
    const lost = once(shm, 'participant-lost')
    const report = await shm.evict(participant)
    t.like(report, { pid: child.pid, slot: participant.slot, epoch: participant.epoch, lost: 2, freed: 2 })
    t.deepEqual((await lost)[0], report)
    t.is((await child.ended).signal, 'SIGKILL')
    t.is(buffersInUse(shm), 0)
    t.deepEqual(await shm.fsck(), [])
    await rejectsCode(t, shm.evict(participant), 'ERR_MILLRACE_NOT_FOUND', `${participant.slot}`)
  })
}

onLinux('what is stalled can be evicted as it is reported', async (t) => {
  const domain = testDomain(t)
  t.timeout(60_000)
  const shm = domain.open()
  const child = await startHolding(t, domain, shm)
  const evicted = new Promise<RecoveryReport>((resolve) => {
    shm.on('participant-stalled', (report) => resolve(shm.evict(report)))
  })
  child.signal('SIGSTOP')
  t.is((await evicted).pid, child.pid)
})
