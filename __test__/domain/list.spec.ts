// Looking at all domains at once, and removing those of the dead.
import { existsSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { type DomainEntry, type ShmManager, ShmObserver } from '../../index.js'
import { leftovers, objectOf, traceOf } from '../helpers/domain.js'
import { testDirectory } from '../helpers/directory.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'
import { otherBuild } from '../helpers/other-build.js'
import { startChild, until } from '../process/children.js'

const onLinux = process.platform === 'linux' ? test : test.skip

function named(entries: DomainEntry[], name: string): DomainEntry {
  return entries.find(({ domain }) => domain === name)!
}

test('the list has every domain: of the living, of the dead, and of those who left', async (t) => {
  const directory = testDirectory(t)
  const list = () => ShmObserver.list({ directory: directory.path })
  t.deepEqual(list(), [])
  const shm = directory.open('alive', { maxBytes: 2 ** 24 })
  directory.open('kept', { persist: true }).close()
  const [survivor, dead] = [await directory.start('alive'), await directory.start('dead')]
  await dead.kill()
  const { createdAtMs, version, usedBytes } = shm.registry.snapshot()
  const entries = list()
  t.deepEqual(
    entries.map(({ domain }) => domain),
    ['alive', 'dead', 'kept'],
  )
  const { memoryBytes, ...alive } = entries[0]!
  t.deepEqual(alive, {
    domain: 'alive',
    directory: shm.directory,
    alive: 2,
    error: null,
    dead: 0,
    usedBytes,
    maxBytes: 2 ** 24,
    persist: false,
    workQueues: 0,
    createdAtMs,
    version,
  })
  if (process.platform === 'linux') t.true(memoryBytes! > usedBytes, `${memoryBytes} > ${usedBytes}`)
  t.like(entries[1], { alive: 0, dead: 1, persist: false, error: null })
  t.like(entries[2], { alive: 0, dead: 0, persist: true, error: null })
  survivor.signal('SIGSTOP')
  t.like(named(list(), 'alive'), { alive: 2, dead: 0 }, 'stopped is not dead')
})

onLinux('who looks changes nothing, byte by byte, and makes nothing', async (t) => {
  const directory = testDirectory(t)
  const { path } = directory
  directory.open('kept', { persist: true }).portQueue('queue').tryPut(Buffer.from('x'))
  await (await directory.start('kept')).kill()
  const dead = await directory.start('dead')
  await dead.kill()
  const observe = () => {
    t.is(ShmObserver.list({ directory: path }).length, 2)
    using observer = ShmObserver.open('dead', { directory: path })
    t.is(observer.dead().length, 1)
    t.is(observer.snapshot().participants.length, 1)
    t.deepEqual(observer.stalled(), [])
  }
  const before = [readdirSync(path), directory.contents('dead')]
  observe()
  t.deepEqual([readdirSync(path), directory.contents('dead')], before)
  t.deepEqual(ShmObserver.list({ directory: join(path, 'none') }), [])
  t.false(existsSync(join(path, 'none')))
  t.is(directory.open('dead').opened, 'recreated', 'nobody is taken for alive because somebody looked')
})

onLinux('domains that cannot be read are listed with their error', async (t) => {
  const directory = testDirectory(t)
  const { path } = directory
  const other = (await import(otherBuild(t))) as { ShmManager: typeof ShmManager }
  const elder = other.ShmManager.open('other', { directory: path })
  t.teardown(() => elder.close())
  const truncated = directory.open('truncated', { persist: true })
  truncated.close()
  truncateSync(objectOf({ directory: join(path, 'truncated') }, 'registry'), 100)
  directory.open('half-made', { persist: true }).close()
  rmSync(join(path, 'half-made', 'registry'))
  directory.open('well')
  mkdirSync(join(path, 'no-domain'))
  writeFileSync(join(path, 'file'), '')
  const entries = ShmObserver.list({ directory: path })
  t.deepEqual(
    entries.map(({ domain, alive, error }) => [domain, alive, error?.code]),
    [
      ['half-made', 0, 'ERR_MILLRACE_CORRUPT'],
      ['other', 1, 'ERR_MILLRACE_VERSION'],
      ['truncated', 0, 'ERR_MILLRACE_TRUNCATED'],
      ['well', 1, undefined],
    ],
  )
  t.regex(named(entries, 'half-made').error!.message, /"half-made" has no registry/)
  throwsCode(t, () => ShmObserver.list({ directory: '' }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'directory')
})

test('who only looks is told of who came and went, in the order and by the numbers of the domain', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('domain', { name: 'one' })
  directory.open('domain', { name: 'two' }).close()
  const child = await directory.start('domain')
  await child.kill()
  using observer = ShmObserver.open('domain', { directory: directory.path })
  await until(() => observer.events().length === 5)
  const events = observer.events()
  t.deepEqual(
    events.map(({ sequence, change, pid }) => [sequence, change, pid]),
    [
      [1, 'joined', process.pid],
      [2, 'joined', process.pid],
      [3, 'closed', process.pid],
      [4, 'joined', child.pid],
      [5, 'died', child.pid],
    ],
  )
  t.deepEqual([events[1]!.name, events[2]!.name], ['two', 'two'])
  const last = events[4]!
  t.like(last, { missed: 0, recovery: { pid: child.pid, lost: 0, missed: 0, sequence: 1 } })
  t.deepEqual(observer.events(4), [last])
  for (const since of [5, 1000, Number.MAX_SAFE_INTEGER]) t.deepEqual(observer.events(since), [])
  for (const since of [-1, 0.5, Number.NaN]) {
    throwsCode(t, () => observer.events(since), 'ERR_MILLRACE_INVALID_ARGUMENT', `${since}`)
  }
  shm.close()
})

test('a domain of the dead is removed, one that is in use is not', async (t) => {
  const directory = testDirectory(t)
  const { path } = directory
  const remove = (name: string, kept = false) => ShmObserver.remove(name, { directory: path, kept })
  const child = await directory.start('domain')
  const trace = traceOf({ directory: join(path, 'domain') })
  const used = await remove('domain', true)
  t.is(used.outcome, 'in-use')
  if (process.platform === 'linux') t.deepEqual(used, { outcome: 'in-use', by: `process ${child.pid}` })
  t.like(named(ShmObserver.list({ directory: path }), 'domain'), { alive: 1 })
  await child.kill()
  const { memoryBytes } = named(ShmObserver.list({ directory: path }), 'domain')
  t.deepEqual(await remove('domain'), { outcome: 'removed', memoryBytes })
  t.deepEqual(leftovers(trace), [])
  await rejectsCode(t, remove('domain'), 'ERR_MILLRACE_NOT_FOUND', 'domain')
  await rejectsCode(t, remove('no/name'), 'ERR_MILLRACE_INVALID_NAME', 'no/name')
  await rejectsCode(t, ShmObserver.remove('x', { kept: 1 as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'kept')
  t.deepEqual(readdirSync(path), [], 'nothing was made by asking')
})

test('what is kept, or cannot be read, is removed only when that is said', async (t) => {
  const directory = testDirectory(t)
  const { path } = directory
  directory.open('persists', { persist: true }).close()
  directory.open('damaged', { persist: true }).close()
  rmSync(join(path, 'damaged', 'registry'))
  writeFileSync(join(path, 'damaged', 'registry'), 'nonsense')
  const env = { ...process.env, MILLRACE_DIR: path }
  const worker = startChild(t, 'sage-hold', { namespace: 'work', queue: 'jobs', count: 0, ending: 'wait' }, { env })
  await worker.hear()
  await worker.kill()
  t.like(named(ShmObserver.list({ directory: path }), 'sage.work'), {
    alive: 0,
    dead: 1,
    workQueues: 1,
    persist: false,
  })
  for (const name of ['persists', 'damaged', 'sage.work']) {
    const trace = traceOf({ directory: join(path, name) })
    t.deepEqual(await ShmObserver.remove(name, { directory: path }), { outcome: 'kept' }, name)
    t.true(existsSync(join(path, name)))
    t.like(await ShmObserver.remove(name, { directory: path, kept: true }), { outcome: 'removed' }, name)
    t.deepEqual(leftovers(trace), [])
  }
})
