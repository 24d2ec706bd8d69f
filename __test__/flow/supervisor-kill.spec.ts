// Children, and supervisors, that are killed or told to end by signals; what their work comes to.
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import type { ChildState, Supervisor } from '../../flow.js'
import type { ShmManager } from '../../index.js'
import type { SupervisedArgs } from '../fixtures/supervised.js'
import type { SupervisedSinkArgs } from '../fixtures/supervised-sink.js'
import type { SupervisedSourceArgs } from '../fixtures/supervised-source.js'
import type { SupervisorArgs } from '../fixtures/supervisor.js'
import { buffersInUse, testDomain, type TestDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { openSupervisor, program } from '../helpers/supervisor.js'
import { type Child, startChild, until } from '../process/children.js'

const KILLS = process.env['MILLRACE_LONG'] === '1' ? 500 : 50

test.serial(`two children are killed ${KILLS} times: nothing is lost, and what comes twice says so`, async (t) => {
  const domain = testDomain(t)
  t.timeout(KILLS * 5000)
  const shm = domain.open()
  shm.portQueue('jobs', { capacity: 64, delivery: 'at-least-once' })
  const records = shm.portQueue('records', { capacity: 256 })
  const attempts = new Map<bigint, number[]>()
  const recorded = records.consume(({ sequence, source }) => {
    const of = attempts.get(sequence)
    if (of === undefined) attempts.set(sequence, [source])
    else of.push(source)
  })
  const { supervisor, events } = openSupervisor(t, { shm })
  const options = { max: KILLS, window: Infinity, stallTimeout: 20_000 }
  const args = { domain: domain.name } satisfies SupervisedSourceArgs & SupervisedSinkArgs
  supervisor.start('source', program('supervised-source', args, options))
  supervisor.start('sink', program('supervised-sink', args, options))
  for (let kill = 0; kill < KILLS; kill++) {
    const victim = kill % 2 === 0 ? 'sink' : 'source'
    // A random moment, not a state to be waited for; of its start, too, now and then.
    if (kill % 5 > 0) await running(supervisor)
    await until(() => supervisor.children[victim]!.pid !== null)
    await setTimeout(Math.random() * 40)
    const exited = once(supervisor, 'exited')
    process.kill(supervisor.children[victim]!.pid!, 'SIGKILL')
    const [state] = (await exited) as [ChildState]
    t.like(state, { name: victim, lastExit: { signal: 'SIGKILL', timeout: null } })
  }
  // Both are told to end: the source closes the queue, and the sink ends when it is empty.
  await running(supervisor)
  for (const state of await supervisor.stop({ throwIfKilled: true })) {
    t.like(state, { phase: 'ended', restarts: KILLS / 2, lastExit: { code: 0 } })
  }
  records.close()
  await recorded

  const { sent, redelivered } = shm.portQueue('jobs').stats()!
  t.is(attempts.size, sent, 'every message was recorded')
  t.true(attempts.has(0n) && attempts.has(BigInt(sent) - 1n))
  const unflagged = [...attempts.values()].filter((of) => of.slice(1).includes(1))
  t.deepEqual(unflagged, [], 'what comes again says so')
  const twice = [...attempts.values()].filter((of) => of.length > 1).length
  t.log(`${sent} messages, ${redelivered} delivered again, ${twice} recorded twice`)
  t.true(redelivered > 0, 'kills met messages in hand')
  t.is(events.filter(({ event }) => event === 'restarting').length, KILLS)
  t.like(shm.stats().queues['jobs'], { received: sent, depth: 0, leased: 0, pending: 0 })
  // A record that was received by nobody was sent by nobody: the sink's own death takes none of them along.
  t.deepEqual([supervisor.lost, supervisor.exitCode], [0, 0])
  t.is(buffersInUse(shm), 0)
  t.deepEqual(await shm.fsck(), [])
})

/** Waits until all children are. */
async function running(supervisor: Supervisor): Promise<void> {
  while (Object.values(supervisor.children).some(({ phase }) => phase !== 'running')) await once(supervisor, 'started')
}

/** A process with a supervisor whose child has started. */
async function startSupervisor(
  t: Parameters<typeof startChild>[0],
  domain: TestDomain,
  does: SupervisedArgs['does'],
  options: SupervisorArgs['options'] = {},
): Promise<{ parent: Child; worker: ChildState }> {
  const parent = startChild(t, 'supervisor', { domain: domain.name, does, options } satisfies SupervisorArgs)
  const worker = await parent.hear<ChildState>()
  t.teardown(() => {
    try {
      process.kill(worker.pid!, 'SIGKILL')
    } catch {
      // It is gone, as it should.
    }
  })
  return { parent, worker }
}

for (const does of ['work', 'ignore', 'spin'] as const) {
  test.serial(`a supervisor is killed: its child ends in order, or at the deadline: ${does}`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const { parent } = await startSupervisor(t, domain, does, { stopTimeout: 200 })
    await killSupervisor(shm, parent)
    if (does === 'spin') {
      // It runs no code of ours: nobody but a supervisor can end it.
      const { supervisor } = openSupervisor(t, { shm })
      t.true(supervisor.adopt('worker', program('exit', 0, { stopTimeout: 100 })))
      await rejectsCode(t, supervisor.stop({ throwIfKilled: true }), 'ERR_MILLRACE_TIMEOUT', '"worker"')
    }
    await until(() => isAlone(shm))
    t.is(endedInOrder(shm), does === 'work')
    t.deepEqual(await shm.fsck(), [])
  })
}

test.serial('a supervisor is killed: a detached child works on, and another supervisor takes it over', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const { parent, worker } = await startSupervisor(t, domain, 'work', { detached: true, stopTimeout: 200 })
  await killSupervisor(shm, parent)
  const beats = shm.portQueue('beats')
  await beats.receive()
  using beat = await beats.receive({ timeout: 10_000 })
  t.is(beat.sequence, BigInt(worker.pid!), 'it sends without its supervisor')

  const { supervisor, events } = openSupervisor(t, { shm })
  const args: SupervisedArgs = { does: 'work', domain: domain.name }
  t.false(supervisor.adopt('nobody', program('supervised', args)))
  t.true(supervisor.adopt('worker', program('supervised', args)))
  t.like(supervisor.children['worker'], { phase: 'running', adopted: true, pid: worker.pid, restarts: 0 })
  throwsCode(
    t,
    () => supervisor.adopt('worker', program('supervised', args)),
    'ERR_MILLRACE_INVALID_ARGUMENT',
    'worker',
  )

  process.kill(worker.pid!, 'SIGKILL')
  while (events.length < 4) await once(supervisor, 'started')
  t.deepEqual(
    events.map(({ event }) => event),
    ['started', 'exited', 'restarting', 'started'],
  )
  const { pid, adopted, restarts } = supervisor.children['worker']!
  t.deepEqual([adopted, restarts], [false, 1])
  t.not(pid, worker.pid)
  t.like(await supervisor.stop({ throwIfKilled: true }), [{ phase: 'ended', lastExit: { code: 0 } }])
  t.is(supervisor.exitCode, 0)
})

test.serial('an adopted child is stopped as any other', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const { parent } = await startSupervisor(t, domain, 'work', { detached: true })
  await killSupervisor(shm, parent)
  const { supervisor } = openSupervisor(t, { shm })
  t.true(supervisor.adopt('worker', program('exit', 0)))
  t.like(await supervisor.stop({ throwIfKilled: true }), [{ phase: 'ended', lastExit: { code: null, timeout: null } }])
  t.is(supervisor.exitCode, 0)
  t.true(isAlone(shm))
  t.true(endedInOrder(shm))
})

for (const [does, code] of [
  ['work', 0],
  ['ignore', 1],
  ['lose', 3],
  ['hold', 3],
] as const) {
  test.serial(`SIGINT ends supervisor and child, and the exit code is ${code}: ${does}`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    await shm.portQueue('queue', { delivery: 'at-most-once' }).send(shm.allocate(10))
    const { parent } = await startSupervisor(t, domain, does, {
      stopTimeout: does === 'work' || does === 'lose' ? 20_000 : 100,
    })
    parent.signal('SIGINT')
    await parent.heard('stopping')
    t.like(await parent.ended, { code, signal: null })
    await until(() => isAlone(shm))
    t.is(endedInOrder(shm), does === 'work' || does === 'lose')
    t.is(shm.registry.snapshot().recovered.lost, does === 'hold' ? 1 : 0)
    t.deepEqual(await shm.fsck(), [])
  })
}

test.serial('a supervisor may itself be a child: all end in order', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const { supervisor } = openSupervisor(t, { shm })
  const args: SupervisorArgs = { domain: domain.name, does: 'work', options: {} }
  supervisor.start('middle', program('supervisor', args))
  await until(() => shm.registry.snapshot().participants.some(({ name }) => name === 'worker'))
  const beats = shm.portQueue('beats')
  ;(await beats.receive()).release()
  t.like(await supervisor.stop({ throwIfKilled: true }), [{ phase: 'ended', lastExit: { code: 0 } }])
  t.true(isAlone(shm))
  t.true(endedInOrder(shm))
})

test.serial('a second SIGINT ends the supervisor at once, and its child', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const { parent } = await startSupervisor(t, domain, 'ignore', { stopTimeout: 1e6 })
  parent.signal('SIGINT')
  await parent.heard('stopping')
  parent.signal('SIGINT')
  t.like(await parent.ended, { code: null, signal: 'SIGINT' })
  await until(() => isAlone(shm))
  t.false(endedInOrder(shm))
})

test.serial('a supervisor counts what its own children have lost, and no other process', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('queue', { delivery: 'at-most-once' })
  const { supervisor } = openSupervisor(t, { shm })
  const args: SupervisedArgs = { does: 'hold', domain: domain.name }
  for (let i = 0; i < 2; i++) await queue.send(shm.allocate(10))
  const stranger = startChild(t, 'supervised', args)
  supervisor.start('own', program('supervised', args, { restart: 'never' }))
  await until(() => queue.depth === 0)
  await stranger.kill()
  process.kill(supervisor.children['own']!.pid!, 'SIGKILL')
  await supervisor.ended()
  t.is(shm.registry.snapshot().recovered.lost, 2)
  t.is(supervisor.lost, 1)
  t.is(shm.listenerCount('participant-lost'), 0)
})

/** Its end, not that of its output, which its child goes on with. */
async function killSupervisor(shm: ShmManager, parent: Child): Promise<void> {
  parent.signal('SIGKILL')
  await until(() => shm.registry.snapshot().participants.every(({ pid }) => pid !== parent.pid))
}

/** Whether nobody else is in the domain. */
function isAlone(shm: ShmManager): boolean {
  return shm.registry.snapshot().participants.length === 1
}

/** Whether the child has closed its queue: the last thing it does before it ends. */
function endedInOrder(shm: ShmManager): boolean {
  return shm.portQueue('beats').stats()!.closed
}
