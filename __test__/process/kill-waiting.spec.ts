// kill -9 of processes that wait, and of processes that others wait for: whoever lives gets what is there.
import test, { type ExecutionContext } from 'ava'
import type { PortQueue, ShmManager } from '../../index.js'
import type { HoldArgs } from '../fixtures/hold.js'
import type { WaitArgs } from '../fixtures/wait.js'
import { buffersInUse, type TestDomain, testDomain } from '../helpers/domain.js'
import { type Child, Deaths, startChild, until } from './children.js'

const ROUNDS = 10

function startWaiting(t: ExecutionContext, domain: TestDomain, what: WaitArgs['for'], bytes?: number): Promise<Child> {
  const args: WaitArgs = { domain: domain.name, queue: 'queue', for: what, ...(bytes !== undefined && { bytes }) }
  return startChild(t, 'wait', args).started()
}

function startHolding(t: ExecutionContext, domain: TestDomain, bytes?: number): Promise<Child> {
  const args: HoldArgs = { domain: domain.name, queue: 'queue', ...(bytes !== undefined && { bytes }) }
  return startChild(t, 'hold', args).started()
}

function send(shm: ShmManager, queue: PortQueue, sequence: number): void {
  const buffer = shm.allocate(10)
  buffer.sequence = BigInt(sequence)
  if (!queue.trySend(buffer)) throw new Error('full')
}

test.serial(
  'a waiting consumer dies with the ring that was meant for somebody: another one gets the message',
  async (t) => {
    const domain = testDomain(t)
    t.timeout(120_000)
    const shm = domain.open()
    const deaths = new Deaths(shm)
    const queue = shm.portQueue('queue', { capacity: 16 })
    const survivor = await startWaiting(t, domain, 'message')
    for (let round = 0; round < ROUNDS; round++) {
      const victims = [await startWaiting(t, domain, 'message'), await startWaiting(t, domain, 'message')]
      // Stopped, they can be woken but cannot take.
      for (const victim of victims) victim.signal('SIGSTOP')
      send(shm, queue, round)
      for (const victim of victims) victim.signal('SIGKILL')
      t.is(await survivor.hear(), round)
      await survivor.started()
      for (const victim of victims) {
        const { lost, freed } = await deaths.of(victim)
        t.deepEqual({ lost, freed }, { lost: 0, freed: 0 })
      }
    }
    t.is(buffersInUse(shm), 0)
  },
)

test.serial('a waiting sender dies with the ring that was meant for somebody: another one gets the room', async (t) => {
  const domain = testDomain(t)
  t.timeout(120_000)
  const shm = domain.open()
  const deaths = new Deaths(shm)
  const queue = shm.portQueue('queue', { capacity: 1 })
  send(shm, queue, 0)
  const survivor = await startWaiting(t, domain, 'space')
  for (let round = 0; round < ROUNDS; round++) {
    const victims = [await startWaiting(t, domain, 'space'), await startWaiting(t, domain, 'space')]
    for (const victim of victims) victim.signal('SIGSTOP')
    queue.tryReceive()!.release()
    for (const victim of victims) victim.signal('SIGKILL')
    t.is(await survivor.hear(), 'sent')
    await survivor.started()
    for (const victim of victims) {
      const { lost } = await deaths.of(victim)
      t.is(lost, 0)
    }
    // One is queued, one waits to be sent.
    t.is(buffersInUse(shm), 2)
  }
})

test.serial('who holds all buffers dies: they go to those who wait for one', async (t) => {
  const domain = testDomain(t)
  t.timeout(120_000)
  const bytes = 1 << 20
  const shm = domain.open({ maxBytes: '8MiB' })
  const deaths = new Deaths(shm)
  const queue = shm.portQueue('queue', { capacity: 4 })
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < 4; i++) send(shm, queue, i)
    const holder = await startHolding(t, domain, bytes)
    const waiting = await startWaiting(t, domain, 'buffer', bytes)
    const mine = shm.allocateAsync(bytes)
    const held = buffersInUse(shm)
    holder.signal('SIGKILL')
    t.is(await waiting.hear(), 'allocated')
    ;(await mine).release()
    const { lost, freed } = await deaths.of(holder)
    t.deepEqual({ lost, freed }, { lost: 4, freed: held })
    await waiting.kill()
    await deaths.of(waiting)
    t.is(buffersInUse(shm), 0)
  }
})

test.serial('a process blocked in a synchronous wait dies: another one gets the message', async (t) => {
  const domain = testDomain(t)
  t.timeout(120_000)
  const shm = domain.open()
  const deaths = new Deaths(shm)
  const queue = shm.portQueue('queue', { capacity: 16 })
  const blocked = async (count: number) => until(() => shm.stats().queues['queue']!.receiveWaits >= count)
  const survivor = await startWaiting(t, domain, 'message, blocking')
  let waits = 1
  for (let round = 0; round < ROUNDS; round++) {
    const victim = await startWaiting(t, domain, 'message, blocking')
    await blocked(++waits)
    victim.signal('SIGSTOP')
    send(shm, queue, round)
    victim.signal('SIGKILL')
    t.is(await survivor.hear(), round)
    await survivor.started()
    await deaths.of(victim)
    await blocked(++waits)
  }
  t.is(buffersInUse(shm), 0)
})
