// Domains that somebody else has damaged, or made with another version. While anybody lives in one that is an error with a code
// of its own; when nobody does, the next one to open it starts afresh.
import { once } from 'node:events'
import { closeSync, openSync, readSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs'
import binding from '#native'
import test, { type ExecutionContext } from 'ava'
import { type ErrorCode, type OpenOptions, ShmManager } from '../../index.js'
import type { HoldArgs } from '../fixtures/hold.js'
import { leftovers, objectOf, removeLeftovers, type Trace, traceOf } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'
import { startChild } from './children.js'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

test.afterEach.always((t) => t.is(binding.runtimeInfo().panics, 0))

interface Damage {
  what: string
  code: ErrorCode
  /** Does the damage to the object at `path`. */
  readonly inflict: (path: string) => void
}

const VERSION = `millrace ${binding.runtimeInfo().version}`

/** Where a segment says which layout it has. */
const LAYOUT_WORD_BYTES = 8

const damages: Damage[] = [
  {
    what: 'was made by another version',
    code: 'ERR_MILLRACE_VERSION',
    inflict: (path) => overwrite(path, flipped(path)),
  },
  { what: 'was never completed', code: 'ERR_MILLRACE_CORRUPT', inflict: (path) => overwrite(path, Buffer.alloc(8)) },
  { what: 'is empty', code: 'ERR_MILLRACE_TRUNCATED', inflict: (path) => truncateSync(path, 0) },
  { what: 'was cut within its head', code: 'ERR_MILLRACE_TRUNCATED', inflict: (path) => truncateSync(path, 32) },
  {
    what: 'was cut in half',
    code: 'ERR_MILLRACE_TRUNCATED',
    inflict: (path) => truncateSync(path, statSync(path).size / 2),
  },
  { what: 'is garbage', code: 'ERR_MILLRACE_CORRUPT', inflict: scramble },
]

function overwrite(path: string, bytes: Uint8Array, position = LAYOUT_WORD_BYTES): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, position)
  closeSync(fd)
}

function flipped(path: string): Buffer {
  const fd = openSync(path, 'r')
  const word = Buffer.alloc(8)
  readSync(fd, word, 0, 8, LAYOUT_WORD_BYTES)
  closeSync(fd)
  return word.map((byte) => byte ^ 0xff) as Buffer
}

function scramble(path: string): void {
  overwrite(path, crypto.getRandomValues(Buffer.alloc(Math.min(statSync(path).size, 65_536))), 0)
}

/** A domain that persists, with a queue that has a message in it, and nobody in it. */
function abandoned(t: ExecutionContext, name: string): Trace {
  using shm = ShmManager.open(name, { persist: true })
  const trace = traceOf(shm)
  t.teardown(() => removeLeftovers(trace))
  shm.portQueue('other', { capacity: 2 })
  shm.portQueue('queue', { capacity: 2 }).trySend(shm.allocate(10))
  return trace
}

/** The domain can be opened and used, and has nothing in it. */
function isFresh(t: ExecutionContext, name: string, options?: OpenOptions): void {
  using shm = ShmManager.open(name, options)
  t.deepEqual(shm.registry.snapshot().queues, [])
  const queue = shm.portQueue('queue', { capacity: 2 })
  t.true(queue.trySend(shm.allocate(10)))
  t.is(queue.tryReceive()?.length, 10)
}

for (const { what, code, inflict } of damages) {
  onLinux(`a registry that ${what}`, async (t) => {
    t.timeout(30_000)
    const name = `ava-${process.pid}-damaged`
    const trace = abandoned(t, name)
    const registry = objectOf(trace, 'registry')
    // Stopped, so that the tenant neither sees the damage nor touches memory that is gone; it lives all the same.
    const tenant = await startChild(t, 'hold', { domain: name, queue: 'other' } satisfies HoldArgs).started()
    tenant.signal('SIGSTOP')
    inflict(registry)
    const ofVersions = code === 'ERR_MILLRACE_VERSION' ? [VERSION, `process ${tenant.pid}`] : []
    throwsCode(t, () => ShmManager.open(name), code, 'registry', ...ofVersions)
    throwsCode(t, () => ShmManager.open(name), code, 'registry', ...ofVersions)
    await tenant.kill()
    // Another version can still read it: what persists is there until somebody says otherwise.
    if (ofVersions.length > 0) throwsCode(t, () => ShmManager.open(name), code, VERSION, 'persist: false')
    isFresh(t, name, ofVersions.length > 0 ? { persist: false } : {})
    t.deepEqual(leftovers(trace), [])
  })

  onLinux(`a pool segment that ${what}`, async (t) => {
    t.timeout(30_000)
    const name = `ava-${process.pid}-damaged`
    const trace = abandoned(t, name)
    const tenant = await startChild(t, 'hold', { domain: name, queue: 'third' } satisfies HoldArgs).started()
    tenant.signal('SIGSTOP')
    inflict(objectOf(trace, 'pool.0'))
    using shm = ShmManager.open(name)
    // The rings are in it.
    throwsCode(t, () => shm.portQueue('queue'), code, 'pool.0')
    const { damaged, participants, pools } = shm.registry.snapshot()
    t.is(damaged.length, 1)
    t.regex(damaged[0]!, /pool\.0/)
    t.is(participants.length, 2)
    t.false(pools.some(({ rings }) => rings > 0))
    // The rest of the domain goes on.
    const queue = shm.portQueue('new', { capacity: 2000 })
    t.true(queue.trySend(shm.allocate(100_000)))
    t.is(queue.tryReceive()?.length, 100_000)
    const died = once(shm, 'participant-lost')
    await tenant.kill()
    await died
    t.is(shm.registry.snapshot().participants.length, 1)
  })

  onLinux(`a persistent domain that nobody is in, and a pool segment that ${what}`, (t) => {
    const name = `ava-${process.pid}-damaged`
    const trace = abandoned(t, name)
    inflict(objectOf(trace, 'pool.0'))
    for (const options of [{}, { persist: true }]) {
      throwsCode(t, () => ShmManager.open(name, options), code, name, 'pool.0', 'persist: false')
    }
    isFresh(t, name, { persist: false })
    t.deepEqual(leftovers(trace), [])
  })
}

onLinux('a registry that is gone', (t) => {
  const name = `ava-${process.pid}-gone`
  const trace = abandoned(t, name)
  rmSync(objectOf(trace, 'registry'))
  isFresh(t, name)
})
