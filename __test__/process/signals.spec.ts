// `shm.closeOnSignals()`: a process that is asked to end takes no more, finishes what it has, and leaves.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import test, { type ExecutionContext } from 'ava'
import type { ParticipantLeft } from '../../index.js'
import type { SignalsArgs } from '../fixtures/signals.js'
import { testDirectory } from '../helpers/directory.js'
import { openDomain, openQueue } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'
import { startChild } from './children.js'

// Elsewhere a signal ends a process at once.
const onUnix = process.platform === 'win32' ? test.skip : test

/** A domain, a queue with two messages, and a process that has taken the first of them. */
async function start(t: ExecutionContext, options: Pick<SignalsArgs, 'timeout' | 'exitCode'>) {
  const { shm, queue } = openQueue(t, { capacity: 4 })
  for (let i = 0; i < 2; i++) queue.tryPut(Buffer.from('x'))
  const left = once(shm, 'participant-left') as Promise<[ParticipantLeft]>
  const child = startChild(t, 'signals', { domain: shm.domain, queue: 'queue', ...options } satisfies SignalsArgs)
  await child.heard('has one')
  return { shm, queue, child, reason: left.then(([report]) => report.reason) }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  onUnix(`${signal}: what was begun is finished, the rest stays, and the process ends by the signal`, async (t) => {
    const { shm, queue, child, reason } = await start(t, { timeout: 60_000 })
    child.signal(signal)
    await child.heard('stopping')
    t.is(shm.registry.snapshot().participants.length, 2, 'it has something to finish')
    child.say('go on')
    const { signal: endedBy, stderr } = await child.ended
    t.deepEqual([endedBy, stderr], [signal, ''])
    t.is(await reason, 'closed')
    t.is(queue.depth, 1)
    t.deepEqual(await shm.fsck(), [])
  })
}

onUnix('what is not finished in time is given up, and told', async (t) => {
  const { child, reason } = await start(t, { timeout: 10 })
  child.signal('SIGTERM')
  const { signal, stderr } = await child.ended
  t.is(signal, 'SIGTERM')
  t.regex(stderr, /\[MILLRACE_DRAIN\] MillraceWarning: domain ".*" is closed at SIGTERM before it is drained: .* 10 ms/)
  t.is(await reason, 'closed')
})

onUnix('a second signal waits for nothing', async (t) => {
  const { child, reason } = await start(t, { timeout: 600_000 })
  child.signal('SIGTERM')
  await child.heard('stopping')
  child.signal('SIGINT')
  t.is((await child.ended).signal, 'SIGINT')
  t.is(await reason, 'closed')
})

onUnix('a program that listens itself ends as it likes', async (t) => {
  const { child, reason } = await start(t, { timeout: 60_000, exitCode: 7 })
  child.signal('SIGTERM')
  await child.heard('stopping')
  child.say('go on')
  const { code, signal } = await child.ended
  t.deepEqual([code, signal], [7, null])
  t.is(await reason, 'closed')
})

const ownPids = ['--pid', '--fork', ...(process.getuid?.() === 0 ? [] : ['--map-root-user'])]
const inContainer = spawnSync('unshare', [...ownPids, 'true']).status === 0 ? test : test.skip

inContainer('process 1 of a container, which no signal ends, exits with the code of the signal', async (t) => {
  const { path: directory } = testDirectory(t)
  const program = `
    import { ShmManager } from ${JSON.stringify(new URL('../../index.js', import.meta.url).href)}
    ShmManager.open('first', { directory: ${JSON.stringify(directory)} }).closeOnSignals()
    setInterval(() => {}, 1000)
    console.log(process.pid)`
  const unshare = spawn('unshare', [...ownPids, process.execPath, '--input-type=module', '-e', program])
  t.teardown(() => unshare.kill('SIGKILL'))
  const [told] = (await once(unshare.stdout, 'data')) as [Buffer]
  t.is(String(told).trim(), '1')
  process.kill(Number(readFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8')), 'SIGTERM')
  t.deepEqual(await once(unshare, 'exit'), [143, null])
})

test('a manager that is closed listens no more; wrong arguments', async (t) => {
  const shm = openDomain(t)
  const before = listeners()
  throwsCode(t, () => shm.closeOnSignals({ timeout: -1 }), 'ERR_MILLRACE_INVALID_ARGUMENT', '-1')
  throwsCode(t, () => shm.closeOnSignals({ drain: 1 as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'drain')
  throwsCode(t, () => shm.closeOnSignals({ drian: 1 } as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'drian')
  t.is(listeners(), before)
  t.false(shm.closeOnSignals().aborted)
  t.is(listeners(), before + 2)
  throwsCode(t, () => shm.closeOnSignals(), 'ERR_MILLRACE_INVALID_ARGUMENT', 'before')
  shm.close()
  t.is(listeners(), before)
  throwsCode(t, () => openClosed(t).closeOnSignals(), 'ERR_MILLRACE_CLOSED', '')
  t.is(listeners(), before)
  const program = `const { ShmManager } = require('millrace')
    const shm = ShmManager.open(require('node:worker_threads').workerData)
    try { shm.closeOnSignals() } catch ({ code }) { require('node:worker_threads').parentPort.postMessage(code) }
    shm.close()`
  const worker = new Worker(program, { eval: true, workerData: openDomain(t).domain })
  t.deepEqual(await once(worker, 'message'), ['ERR_MILLRACE_UNSUPPORTED'])
  await once(worker, 'exit')
})

function listeners(): number {
  return process.listenerCount('SIGTERM') + process.listenerCount('SIGINT')
}

function openClosed(t: ExecutionContext) {
  const shm = openDomain(t)
  shm.close()
  return shm
}
