// Whoever opens a domain removes what the dead have left, and is told once when what is kept takes much of the memory.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { ShmObserver } from '../../index.js'
import type { Told } from '../fixtures/leftovers.js'
import { testDirectory } from '../helpers/directory.js'
import { leftovers, traceOf } from '../helpers/domain.js'
import { inSmallMemory, runInSmallMemory, smallMemory } from '../helpers/small-memory.js'
import { startChild, until } from './children.js'

const onLinux = process.platform === 'linux' ? test : test.skip

test.beforeEach((t) => t.timeout(60_000))

onLinux(
  'domains of the dead are removed by whoever opens another one; what is kept or in use stays as it is',
  async (t) => {
    const directory = testDirectory(t)
    const { path } = directory
    directory.open('kept', { persist: true }).close()
    mkdirSync(join(path, 'half-made'))
    const env = { ...process.env, MILLRACE_DIR: path }
    const worker = startChild(t, 'sage-hold', { namespace: 'work', queue: 'jobs', count: 0, ending: 'wait' }, { env })
    await worker.hear()
    const [dead, both, stopped] = [
      await directory.start('dead'),
      await directory.start('both'),
      await directory.start('stopped'),
    ]
    const survivor = await directory.start('both')
    const trace = traceOf({ directory: join(path, 'dead') })
    stopped.signal('SIGSTOP')
    for (const child of [worker, dead, both]) await child.kill()
    const kept = () => ['kept', 'sage.work'].map((name) => directory.contents(name))
    const before = kept()
    await directory.start('other')
    await until(() => !existsSync(join(path, 'dead')) && !existsSync(join(path, '.dead.lock')))
    t.deepEqual(leftovers(trace), [])
    t.deepEqual(
      ShmObserver.list({ directory: path }).map(({ domain, alive }) => [domain, alive]),
      [
        ['both', 1],
        ['kept', 0],
        ['other', 1],
        ['sage.work', 0],
        ['stopped', 1],
      ],
    )
    t.deepEqual(kept(), before)
    t.true(existsSync(join(path, 'half-made')), 'what is no domain is nobody’s business')
    using observer = ShmObserver.open('both', { directory: path })
    await until(() => observer.dead().length === 0)
    t.deepEqual(await observer.fsck(), [])
    t.deepEqual(
      observer.snapshot().participants.map(({ pid }) => pid),
      [survivor.pid],
    )
    stopped.signal('SIGCONT')
  },
)

test('whoever joins a domain of the dead while others remove it has one that works', async (t) => {
  const directory = testDirectory(t)
  const { path } = directory
  for (let round = 0; round < 10; round++) {
    await (await directory.start('domain')).kill()
    // By threads of their own, at the same time as we open it.
    const remove = () => ShmObserver.remove('domain', { directory: path, timeout: 0 })
    const removing = Array.from({ length: 3 }, () =>
      remove()
        .then(({ outcome }) => outcome)
        .catch(({ code }) => code as string),
    )
    const shm = directory.open('domain')
    const queue = shm.portQueue('queue', { capacity: 4 })
    t.true(queue.tryPut(Buffer.from('x')))
    for (const outcome of await Promise.all(removing)) {
      t.true(['removed', 'in-use', 'ERR_MILLRACE_TIMEOUT', 'ERR_MILLRACE_NOT_FOUND'].includes(outcome), outcome)
    }
    t.true(shm.opened === 'created' || shm.opened === 'recreated', shm.opened)
    t.is((await remove()).outcome, 'in-use')
    t.is(Buffer.from(queue.tryGet()!).toString(), 'x')
    using observer = ShmObserver.open('domain', { directory: path })
    t.deepEqual(await observer.fsck(), [])
    shm.close()
    t.deepEqual(ShmObserver.list({ directory: path }), [])
  }
})

inSmallMemory(smallMemory('more than a quarter of /dev/shm is worth a warning, which names the domains'), async (t) => {
  const { little, much } = await runInSmallMemory<Told>('64m', 'leftovers')
  t.is(little, '')
  const warnings = much.match(/\[MILLRACE_LEFTOVERS\] .*/g)!
  t.is(warnings.length, 1, 'once a process')
  t.regex(
    warnings[0],
    /hold 2\d MiB of 64 MiB of \/dev\/shm: dead-1, dead-2; they persist, have work queues or cannot be read: `npx millrace doctor` says/,
  )
})
