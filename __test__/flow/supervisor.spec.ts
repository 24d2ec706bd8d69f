// Starting, watching, restarting and ending processes, each of them a real one.
import { getEventListeners, once } from 'node:events'
import test from 'ava'
import { type Restart, Supervisor } from '../../flow.js'
import { RestartPlan } from '../../lib/flow/process/restart-plan.js'
import type { SupervisedArgs } from '../fixtures/supervised.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { openSupervisor, program } from '../helpers/supervisor.js'

const supervised = (does: SupervisedArgs['does'], options = {}) =>
  program('supervised', { does } satisfies SupervisedArgs, options)

for (const [restart, code, restarts, phase, exitCode] of [
  ['never', 0, 0, 'ended', 0],
  ['never', 7, 0, 'ended', 1],
  ['on-failure', 0, 0, 'ended', 0],
  ['on-failure', 7, 2, 'gave-up', 1],
  ['always', 0, 2, 'gave-up', 1],
  ['always', 7, 2, 'gave-up', 1],
] satisfies [Restart, number, number, string, number][]) {
  test(`a child that ends with ${code} is restarted ${restarts} times: ${restart}`, async (t) => {
    const { supervisor, events } = openSupervisor(t)
    supervisor.start('one', program('exit', code, { restart, max: 2 }))
    const [state] = await supervisor.ended()
    t.like(state, { name: 'one', phase, restarts, pid: null, adopted: false, lastExit: { code, signal: null } })
    t.is(supervisor.exitCode, exitCode)
    const restartsOf = Array.from({ length: restarts }, () => ['exited', 'restarting']).flat()
    const last = phase === 'gave-up' ? ['exited', 'gave-up'] : ['exited']
    t.deepEqual(
      events.map(({ event }) => event),
      [...restartsOf, ...last],
    )
  })
}

test('waits before restarts are exactly as configured, and kept', async (t) => {
  const { supervisor, events } = openSupervisor(t)
  const backoff = { initial: 20, factor: 3, max: 100, jitter: 0 }
  supervisor.start('one', program('exit', 1, { max: 4, backoff }))
  const at: number[] = []
  supervisor.on('restarting', ({ lastExit }) => at.push(lastExit!.atMs))
  const [last] = await supervisor.ended()
  const delays = events.filter(({ event }) => event === 'restarting').map(({ delay }) => delay)
  t.deepEqual(delays, [20, 60, 100, 100])
  // A child that is restarted too early has ended too early; the clocks of timers and of dates round differently.
  const ends = [...at, last!.lastExit!.atMs]
  t.true(ends.slice(1).every((end, n) => end - ends[n]! >= delays[n]! - 2))
})

test('restarts are counted within the window, and chance is a share of the wait', (t) => {
  const backoff = { initial: 10, factor: 2, max: 1000, jitter: 0 }
  const plan = new RestartPlan({ restart: 'always', max: 2, window: 100, backoff })
  t.deepEqual(
    [0, 50, 99, 100, 149, 150, 300].map((now) => plan.next(true, now)),
    [10, 20, 'exhausted', 20, 'exhausted', 20, 10],
  )
  const random = new RestartPlan({
    restart: 'always',
    max: 1000,
    window: Infinity,
    backoff: { ...backoff, factor: 1, jitter: 0.5 },
  })
  const delays = Array.from({ length: 1000 }, () => random.next(true, 0) as number)
  t.true(delays.every((delay) => Number.isInteger(delay) && delay >= 5 && delay <= 10))
  t.true(Math.max(...delays) - Math.min(...delays) > 4)
})

test('a child that cannot be started has failed, and its state says why', async (t) => {
  const { supervisor } = openSupervisor(t)
  supervisor.start('one', program('exit', 0, { args: ['x'.repeat(3_000_000)], max: 1 }))
  supervisor.start('two', program('exit', 0, { restart: 'never', execArgv: ['--no-such-option'] }))
  const [state, other] = await supervisor.ended()
  t.like(state, { phase: 'gave-up', restarts: 1, pid: null, lastExit: { code: null, signal: null } })
  t.regex(state!.lastExit!.error!, /E2BIG/)
  t.like(other, { phase: 'ended', lastExit: { code: 9, error: null } })
})

test('a child that is not ready within startTimeout is killed and started again', async (t) => {
  const { supervisor, events } = openSupervisor(t)
  supervisor.start('one', supervised('never ready', { startTimeout: 300, max: 1 }))
  const [state] = await supervisor.ended()
  t.like(state, { phase: 'gave-up', restarts: 1, lastExit: { code: null, signal: 'SIGKILL', timeout: 'start' } })
  t.deepEqual(
    events.map(({ event }) => event),
    ['exited', 'restarting', 'exited', 'gave-up'],
  )
})

test('a child that hangs is killed and started again; the time counts from ready()', async (t) => {
  const { supervisor, events } = openSupervisor(t)
  supervisor.start('one', supervised('spin', { stallTimeout: 100, max: 1 }))
  const [state] = await supervisor.ended()
  t.like(state, { phase: 'gave-up', restarts: 1, lastExit: { signal: 'SIGKILL', timeout: 'stall' } })
  const round = ['started', 'stalled', 'exited']
  t.deepEqual(
    events.map(({ event }) => event),
    [...round, 'restarting', ...round, 'gave-up'],
  )
  const stalled = events.filter(({ event }) => event === 'stalled').map(({ state: { phase, pid } }) => [phase, pid])
  t.true(stalled.every(([phase, pid]) => phase === 'running' && typeof pid === 'number'))
})

test('a child that progresses is not killed, though it takes longer than stallTimeout', async (t) => {
  const { supervisor, events } = openSupervisor(t)
  supervisor.start('one', supervised('progress', { stallTimeout: 1000, max: 0 }))
  const [state] = await supervisor.ended()
  t.like(state, { phase: 'ended', lastExit: { code: 0, timeout: null } })
  t.deepEqual(
    events.map(({ event }) => event),
    ['started', 'exited'],
  )
})

test('a supervisor that was busy hears what has come meanwhile before it calls a child hung', async (t) => {
  const { supervisor, events } = openSupervisor(t)
  supervisor.start('one', supervised('progress', { stallTimeout: 1000 }))
  await once(supervisor, 'started')
  const until = performance.now() + 1500
  while (performance.now() < until);
  const [state] = await supervisor.ended()
  t.like(state, { restarts: 0, lastExit: { code: 0, timeout: null } })
  t.is(events.length, 2)
})

test('stop() ends children that work, and nothing is restarted', async (t) => {
  const { supervisor, events } = openSupervisor(t)
  supervisor.start('one', supervised('work', { restart: 'always' }))
  supervisor.start('two', supervised('work', { restart: 'always' }))
  while (events.length < 2) await once(supervisor, 'started')
  t.like(supervisor.children, { one: { phase: 'running', restarts: 0 }, two: { phase: 'running' } })
  const stopping = supervisor.stop({ throwIfKilled: true })
  t.is(supervisor.children['one']!.phase, 'stopping')
  for (const state of await stopping) t.like(state, { phase: 'ended', pid: null, lastExit: { code: 0, signal: null } })
  t.false(events.some(({ event }) => event === 'restarting'))
  throwsCode(t, () => supervisor.start('three', supervised('work')), 'ERR_MILLRACE_CLOSED', 'three')
  t.deepEqual(await supervisor.stop(), await stopping)
})

test('stop() kills who does not end by the deadline, and says who that was', async (t) => {
  const { supervisor, events } = openSupervisor(t)
  supervisor.start('good', supervised('work'))
  supervisor.start('bad', supervised('ignore', { stopTimeout: 100 }))
  while (events.length < 2) await once(supervisor, 'started')
  await rejectsCode(t, supervisor.stop({ throwIfKilled: true }), 'ERR_MILLRACE_TIMEOUT', 'killed: "bad"')
  const [good, bad] = await supervisor.stop()
  t.like(good, { lastExit: { code: 0, timeout: null } })
  t.like(bad, { phase: 'ended', lastExit: { signal: 'SIGKILL', timeout: 'stop' } })
  t.is(supervisor.exitCode, 1)
})

test('a child that knows nothing of supervisors ends by SIGTERM: that is no failure when it was asked to', async (t) => {
  const { supervisor } = openSupervisor(t)
  supervisor.start('asked', program('supervised-bare', 0))
  supervisor.start('killed', program('supervised-bare', 0, { restart: 'never' }))
  const exited = once(supervisor, 'exited')
  process.kill(supervisor.children['killed']!.pid!, 'SIGTERM')
  await exited
  t.like(supervisor.children['killed'], { phase: 'ended', lastExit: { code: null, signal: 'SIGTERM' } })
  t.is(supervisor.exitCode, 1)
  // Another one takes the place, and the name, of one that is over.
  supervisor.start('killed', program('exit', 0))
  await supervisor.stop()
  t.like(supervisor.children['asked'], { lastExit: { code: null, signal: 'SIGTERM', timeout: null } })
  t.is(supervisor.exitCode, 0)
})

test('a stopped child hangs', async (t) => {
  const { supervisor } = openSupervisor(t)
  supervisor.start('one', supervised('progress', { stallTimeout: 300, restart: 'never' }))
  await once(supervisor, 'started')
  process.kill(supervisor.children['one']!.pid!, 'SIGSTOP')
  t.like(await supervisor.ended(), [{ phase: 'ended', lastExit: { signal: 'SIGKILL', timeout: 'stall' } }])
})

test('stop() ends a wait for a restart', async (t) => {
  const { supervisor, events } = openSupervisor(t)
  supervisor.start('one', program('exit', 1, { backoff: { initial: 1e6, max: 1e6 } }))
  await once(supervisor, 'restarting')
  t.is(supervisor.children['one']!.phase, 'waiting')
  await supervisor.stop()
  t.like(supervisor.children['one'], { phase: 'ended', restarts: 0, lastExit: { code: 1 } })
  t.is(events.filter(({ event }) => event === 'exited').length, 1)
})

test('a signal stops a supervisor, another one kills its children; neither keeps a listener, and no process is left', async (t) => {
  const [stop, kill] = [new AbortController(), new AbortController()]
  for (let i = 0; i < 3; i++) {
    const supervisor = new Supervisor({ signal: stop.signal, kill: kill.signal })
    supervisor.start('one', program('exit', 0))
    await supervisor.stop()
  }
  t.deepEqual(getEventListeners(stop.signal, 'abort'), [])
  t.deepEqual(getEventListeners(kill.signal, 'abort'), [])
  const { supervisor } = openSupervisor(t, { signal: stop.signal, kill: kill.signal })
  supervisor.start('one', supervised('ignore'))
  await once(supervisor, 'started')
  const { pid } = supervisor.children['one']!
  stop.abort()
  t.is(supervisor.children['one']!.phase, 'stopping')
  kill.abort()
  t.like(await supervisor.ended(), [{ lastExit: { signal: 'SIGKILL', timeout: 'stop' } }])
  t.throws(() => process.kill(pid!, 0), { code: 'ESRCH' })
  t.deepEqual([...getEventListeners(stop.signal, 'abort'), ...getEventListeners(kill.signal, 'abort')], [])
})

test('bad options name child and option', (t) => {
  const { supervisor } = openSupervisor(t)
  for (const [option, value] of [
    ['module', 7],
    ['module', ''],
    ['args', 'text'],
    ['execArgv', [7]],
    ['env', null],
    ['restart', 'sometimes'],
    ['max', -1],
    ['window', -1],
    ['startTimeout', NaN],
    ['stallTimeout', '5s'],
    ['stopTimeout', -1],
    ['stdio', 'overlapped'],
    ['detached', 1],
    ['backoff', 7],
  ] as const) {
    const start = () => supervisor.start('one', { ...program('exit', 0), [option]: value })
    throwsCode(t, start, 'ERR_MILLRACE_INVALID_ARGUMENT', option, 'child "one"')
  }
  for (const [option, value] of Object.entries({ initial: -1, factor: 0.5, max: 2 ** 31, jitter: 2 })) {
    const start = () => supervisor.start('one', program('exit', 0, { backoff: { [option]: value } }))
    throwsCode(t, start, 'ERR_MILLRACE_INVALID_ARGUMENT', `backoff.${option}`, 'child "one"', String(value))
  }
  const detached = () => supervisor.start('one', program('exit', 0, { stdio: 'pipe', detached: true }))
  throwsCode(t, detached, 'ERR_MILLRACE_INVALID_ARGUMENT', 'stdio of child "one"', 'detached')
  t.deepEqual(supervisor.children, {})
  throwsCode(t, () => new Supervisor({ shm: {} as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'shm')
  throwsCode(t, () => supervisor.adopt('one', program('exit', 0)), 'ERR_MILLRACE_INVALID_ARGUMENT', 'one', 'shm')
  supervisor.start('one', program('exit', 0))
  throwsCode(t, () => supervisor.start('one', program('exit', 0)), 'ERR_MILLRACE_INVALID_ARGUMENT', 'one')
})
