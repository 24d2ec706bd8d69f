// `millrace clean` and `millrace doctor`: what the dead leave is seen, said, and removed.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { Removal } from '../../index.js'
import type { Finding } from '../../cli/doctor/finding.js'
import { millrace, millraceBy } from '../helpers/cli.js'
import { leftovers, removeLeftovers, traceOf } from '../helpers/domain.js'
import { type TestDirectory, testDirectory } from '../helpers/directory.js'
import { inSmallMemory, smallMemory, smallMemoryFor } from '../helpers/small-memory.js'
import { startChild } from '../process/children.js'

const onLinux = process.platform === 'linux' ? test : test.skip

function inDirectory({ path }: TestDirectory) {
  return (...args: string[]) => millrace(...args, '--directory', path)
}

interface Cleaned extends Removal {
  domain: string
}

function cleanedIn(stdout: string): [domain: string, outcome: string][] {
  const { domains } = JSON.parse(stdout) as { domains: Cleaned[] }
  return domains.map(({ domain, outcome }) => [domain, outcome])
}

function findingsIn(stdout: string): Finding[] {
  return (JSON.parse(stdout) as { findings: Finding[] }).findings
}

test('clean removes what the dead have left and nobody keeps, and leaves the rest', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const { path } = directory
  directory.open('alive').portQueue('queue', { capacity: 4 }).tryPut(Buffer.from('x'))
  directory.open('persists', { persist: true }).close()
  directory.open('damaged', { persist: true }).close()
  rmSync(join(path, 'damaged', 'registry'))
  const env = { ...process.env, MILLRACE_DIR: path }
  const worker = startChild(t, 'sage-hold', { namespace: 'work', queue: 'jobs', count: 0, ending: 'wait' }, { env })
  await worker.hear()
  await worker.kill()
  await (await directory.start('dead')).kill()
  const dead = traceOf({ directory: join(path, 'dead') })
  const before = directory.contents('dead')
  const expected = [
    ['damaged', 'kept'],
    ['dead', 'removed'],
    ['persists', 'kept'],
    ['sage.work', 'kept'],
  ] as [string, string][]
  const dry = await run('clean', '--dry-run', '--json')
  t.deepEqual([dry.code, cleanedIn(dry.stdout)], [0, expected])
  t.deepEqual(directory.contents('dead'), before, 'a dry run removes nothing')
  const done = await run('clean', '--json')
  t.deepEqual([done.code, cleanedIn(done.stdout)], [0, expected])
  t.deepEqual(leftovers(dead), [])
  const told = await run('clean')
  t.regex(told.stdout, /^persists +kept +- +persists, has work .* `millrace clean persists` removes it$/m)
  t.regex(told.stdout, /^0 domains removed, 0 B freed$/m)
  const named = await run('clean', 'persists', 'damaged', 'sage.work')
  t.is(named.code, 0)
  t.regex(named.stdout, /^persists +removed +\d+(\.\d)? KiB$/m)
  t.regex(named.stdout, /^3 domains removed, \d+(\.\d)? [KM]iB freed\n$/m)
  t.deepEqual(readdirSync(path).toSorted(), ['.alive.lock', 'alive'])
})

test('clean of a domain that somebody is in removes nothing and exits with 1', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const child = await directory.start('alive')
  const { code, stdout } = await run('clean', 'alive')
  t.is(code, 1)
  if (process.platform === 'linux') t.regex(stdout, new RegExp(`^alive +in-use +- +by process ${child.pid}\n`, 'm'))
  t.is((await run('clean', 'alive', '--dry-run')).code, 1)
  const missing = await run('clean', 'none')
  t.deepEqual([missing.code, missing.stdout], [2, ''])
  t.regex(missing.stderr, /^ERR_MILLRACE_NOT_FOUND: there is no domain "none"; there are alive\n/)
  t.true(existsSync(join(directory.path, 'alive', 'registry')))
})

onLinux('doctor: what the dead have left, who is stopped, and what cannot be read, each with what to do', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const { path } = directory
  const ofDomains = async () => {
    const { code, stdout } = await run('doctor', '--json')
    const found = findingsIn(stdout).filter(({ about }) => !['container', '/dev/shm', 'limits'].includes(about))
    return { code, found }
  }
  t.deepEqual((await ofDomains()).found, [])
  directory.open('persists', { persist: true }).close()
  directory.open('damaged', { persist: true }).close()
  rmSync(join(path, 'damaged', 'registry'))
  const shm = directory.open('alive')
  const child = await directory.start('alive')
  // The last to open a domain here, for whoever does removes what nobody alive is in.
  await (await directory.start('dead')).kill()
  const stopped = new Promise<void>((resolve) => shm.once('participant-stalled', () => resolve()))
  child.signal('SIGSTOP')
  await stopped
  const { code, found } = await ofDomains()
  t.is(code, 1)
  t.deepEqual(
    found.map(({ level, about }) => [level, about]),
    [
      ['problem', 'alive'],
      ['problem', 'damaged'],
      ['problem', 'dead'],
      ['note', 'persists'],
    ],
  )
  const { slot, epoch } = shm.registry.snapshot().participants.find(({ pid }) => pid === child.pid)!
  t.true(found[0]!.advice.includes(`millrace evict alive ${slot}.${epoch}`), found[0]!.advice)
  t.regex(found[3]!.message, /nobody is in it, it takes \d+(\.\d)? KiB, .* kept for persist/)
  // What it advises, done.
  t.is((await run('evict', 'alive', `${slot}.${epoch}`)).code, 0)
  t.is((await child.ended).signal, 'SIGKILL')
  t.is((await run('clean')).code, 0)
  t.is((await run('clean', 'damaged', 'persists')).code, 0)
  t.deepEqual((await ofDomains()).found, [])
})

const isAbout = (thing: string) => (finding: Finding) => finding.about === thing

onLinux('doctor: memory of a domain whose directory was deleted by hand', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('deleted', { persist: true })
  shm.portQueue('queue', { capacity: 4 })
  const deleted = traceOf(shm)
  const { objects } = deleted
  t.teardown(() => {
    shm.close()
    removeLeftovers(deleted)
  })
  const ofMemory = async () => {
    const { stdout } = await run('doctor', '--json')
    return findingsIn(stdout).filter(({ message }) => message.includes(objects))
  }
  // Its sentinel may make a file in there meanwhile.
  rmSync(shm.directory, { recursive: true, maxRetries: 10, retryDelay: 1 })
  t.deepEqual(await ofMemory(), [], 'somebody uses it')
  // Killed, it takes nothing along.
  const child = await directory.start('other')
  child.signal('SIGKILL')
  await child.ended
  const trace = traceOf({ directory: join(directory.path, 'other') })
  const other = leftovers(trace).filter((path) => path.startsWith('/dev/shm/millrace.'))
  rmSync(trace.directory, { recursive: true })
  const { stdout } = await run('doctor', '--json')
  const finding = findingsIn(stdout).find(({ message }) => message.includes(trace.objects))
  t.is(finding!.level, 'note')
  t.regex(finding!.message, new RegExp(`^${other.length} objects? ${trace.objects}\\* \\(.*iB\\) of no domain`))
  t.true(finding!.advice.includes(`rm /dev/shm/${trace.objects}*`))
  for (const path of other) rmSync(path)
  t.false((await run('doctor')).stdout.includes(trace.objects))
  shm.close()
  t.is((await ofMemory()).length, 1, 'it persists, and nobody is in it')
  removeLeftovers(deleted)
  t.deepEqual(await ofMemory(), [])
})

onLinux('doctor: limits that are low', async (t) => {
  const { path } = testDirectory(t)
  const shell = ['bash', '-c', 'ulimit -n 200; ulimit -u 200; exec "$0" "$@"']
  const { code, stdout } = await millraceBy(shell, 'doctor', '--json', '--directory', path)
  t.is(code, 1)
  t.deepEqual(
    findingsIn(stdout)
      .filter(isAbout('limits'))
      .map(({ message }) => message),
    [
      'a process may have 200 of "Max open files", 1024 are a safe number',
      'a process may have 200 of "Max processes", 256 are a safe number',
    ],
  )
})

inSmallMemory(smallMemory('doctor: a /dev/shm that is small, and one that is full'), async (t) => {
  const { path } = testDirectory(t)
  const ask = ['doctor', '--json', '--directory', path]
  const small = await millraceBy(smallMemoryFor('64m'), ...ask)
  t.is(small.code, 1)
  const found = findingsIn(small.stdout).find(isAbout('/dev/shm'))
  t.is(found!.message, '/dev/shm has 64 MiB, 64 MiB of it free: less than most domains need')
  const filled = [...smallMemoryFor('128m'), 'sh', '-c', 'head -c 120M /dev/zero > /dev/shm/full; exec "$0" "$@"']
  const full = findingsIn((await millraceBy(filled, ...ask)).stdout).find(isAbout('/dev/shm'))
  t.is(full!.message, '/dev/shm has 128 MiB, 8 MiB of it free')
  t.regex(full!.advice, /`millrace clean` frees/)
  const enough = await millraceBy(smallMemoryFor('128m'), ...ask)
  t.deepEqual(findingsIn(enough.stdout).filter(isAbout('/dev/shm')), [])
})

test('evict: one that is not there, and the exact account of one that is', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 4 })
  for (let i = 0; i < 3; i++) queue.tryPut(Buffer.from('x'))
  const child = await directory.start('domain')
  const wrong = await run('evict', 'domain', '9')
  t.deepEqual([wrong.code, wrong.stdout], [2, ''])
  t.regex(wrong.stderr, /has no participant "9"; it has 0\.1 \(process \d+, [^)]*\), /)
  const { slot } = shm.registry.snapshot().participants.find(({ pid }) => pid === child.pid)!
  const { code, stdout } = await run('evict', 'domain', `${slot}`)
  t.is(code, 0)
  t.regex(
    stdout,
    new RegExp(
      `\\(process ${child.pid}, .*\\) has been ended: 3 buffers freed, 3 messages lost, 0 delivered again\\n$`,
    ),
  )
  t.is((await child.ended).signal, 'SIGKILL')
})
