// `millrace ls` and `millrace inspect`: what operators see of domains with real processes in them, the dead included.
import { once } from 'node:events'
import { readdirSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { DomainEntry, ParticipantStats, QueueStats, Snapshot } from '../../index.js'
import { millrace } from '../helpers/cli.js'
import { type TestDirectory, testDirectory } from '../helpers/directory.js'
import { objectOf } from '../helpers/domain.js'

const onLinux = process.platform === 'linux' ? test : test.skip

/** A line of a table as its cells. */
function cellsOf(stdout: string, first: string): string[] {
  const line = stdout.split('\n').find((each) => each.trim().split(/ {2,}/)[0] === first)
  return line?.trim().split(/ {2,}/) ?? []
}

function inDirectory({ path }: TestDirectory) {
  return (...args: string[]) => millrace(...args, '--directory', path)
}

test('ls: domains of the living, of the dead, and those that are kept', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  t.deepEqual(await run('ls'), { code: 0, signal: null, stdout: 'no domains\n', stderr: '' })
  directory
    .open('alive', { maxBytes: 2 ** 24 })
    .allocate(10)
    .release()
  directory.open('kept', { persist: true }).close()
  await directory.start('alive')
  await (await directory.start('dead')).kill()
  const before = readdirSync(directory.path)
  const { code, stdout, stderr } = await run('ls')
  t.deepEqual([code, stderr], [0, ''])
  t.deepEqual(cellsOf(stdout, 'alive').slice(0, 6), ['alive', 'in use', '2', '0', '1 MiB', '16 MiB'])
  t.deepEqual(cellsOf(stdout, 'dead').slice(0, 4), ['dead', 'nobody in it', '0', '1'])
  t.is(cellsOf(stdout, 'kept').at(-2), 'persist')
  const json = await run('ls', '--json')
  const { domains } = JSON.parse(json.stdout) as { domains: DomainEntry[] }
  t.deepEqual(
    domains.map(({ domain, alive }) => [domain, alive]),
    [
      ['alive', 2],
      ['dead', 0],
      ['kept', 0],
    ],
  )
  t.deepEqual(readdirSync(directory.path), before)
})

test('ls: what cannot be read does not keep the rest from being listed', async (t) => {
  const directory = testDirectory(t)
  directory.open('damaged', { persist: true }).close()
  rmSync(join(directory.path, 'damaged', 'registry'))
  directory.open('well')
  const { code, stdout } = await inDirectory(directory)('ls')
  t.is(code, 1)
  t.deepEqual(cellsOf(stdout, 'damaged').slice(0, 2), ['damaged', 'unreadable'])
  t.deepEqual(cellsOf(stdout, 'well').slice(0, 3), ['well', 'in use', '1'])
  t.regex(stdout, /damaged: domain "damaged" has no registry/)
})

test('inspect: who takes part and holds what, queues and topics', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('domain', { name: 'the test' })
  const [queue, topic] = [shm.portQueue('queue', { capacity: 4 }), shm.topic('news', { history: 2 })]
  using subscription = topic.subscribe({ capacity: 8 })
  topic.tryPut(Buffer.from('x'))
  for (let i = 0; i < 3; i++) queue.tryPut(Buffer.from('x'))
  const child = await directory.start('domain')
  const { code, stdout, stderr } = await run('inspect', 'domain')
  t.deepEqual([code, stderr], [0, ''])
  t.regex(stdout, /^domain: 2 MiB of 256 MiB used, made /)
  t.deepEqual(cellsOf(stdout, '0.1').slice(1, 4), [`${process.pid}`, 'the test', 'alive'])
  const slot = shm.registry.snapshot().participants.find(({ pid }) => pid === child.pid)!
  // It holds three messages and the ring.
  const expected = [`${child.pid}`, slot.name, 'alive', '4']
  t.deepEqual(cellsOf(stdout, `${slot.slot}.${slot.epoch}`).slice(1, 5), expected)
  t.deepEqual(cellsOf(stdout, 'queue').slice(1, 8), ['0', '4', '0', '3', '3', '0', '2'])
  t.deepEqual(cellsOf(stdout, 'news').slice(1, 5), ['1', '1 of 2', '1', '1'])
  t.is(subscription.topic, 'news')
  const json = await run('inspect', 'domain', '--json')
  const inspected = JSON.parse(json.stdout) as Snapshot
  t.deepEqual(inspected.queues, shm.registry.snapshot().queues)
})

test('inspect: who has which queue open, and what they do with it', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('domain', { name: 'sender' })
  shm.portQueue('queue', { capacity: 4 }).tryPut(Buffer.from('x'))
  const topic = shm.topic('news', { history: 1 })
  topic.subscribe({ capacity: 8, name: 'log' })
  topic.tryPut(Buffer.from('x'))
  const looker = directory.open('domain', { name: 'looker' })
  looker.portQueue('queue').peek()!.release()
  const child = await directory.start('domain')
  const { stdout } = await inDirectory(directory)('inspect', 'domain')
  const { participants } = shm.registry.snapshot()
  const { name } = participants.find(({ pid }) => pid === child.pid)!
  const at = stdout.indexOf('who has what open')
  const ends = stdout.slice(at, stdout.indexOf('\n\n', at)).split('\n').slice(2)
  t.deepEqual(
    ends.map((line) => line.trim().split(/ {2,}/)),
    [
      ['0.1', `${process.pid}`, 'sender', 'queue', 'queue', 'sends'],
      ['1.1', `${process.pid}`, 'looker', 'queue', 'queue', '-'],
      ['2.1', `${child.pid}`, name, 'queue', 'queue', 'receives'],
      // What is published is counted by the topic.
      ['0.1', `${process.pid}`, 'sender', 'subscription', 'news@log', '-'],
    ],
  )
  const recovered = once(shm, 'participant-lost')
  await child.kill()
  await recovered
  t.deepEqual(
    shm.stats().queues['queue']!.users.map(({ participant }) => participant),
    [0, 1],
  )
})

test('inspect: the dead whom nobody has recovered are told apart', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  await (await directory.start('domain')).kill()
  const { stdout } = await run('inspect', 'domain')
  t.is(cellsOf(stdout, '0.1')[3], 'dead', stdout)
  const { participants } = JSON.parse((await run('inspect', 'domain', '--json')).stdout) as {
    participants: (ParticipantStats & { dead: boolean })[]
  }
  t.deepEqual(
    participants.map(({ dead }) => dead),
    [true],
  )
})

test('inspect: one queue with all its numbers, or an error that says what there is', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('domain')
  shm.portQueue('queue', { capacity: 4, overflow: 'drop-oldest' }).tryPut(Buffer.from('x'))
  const { stdout } = await run('inspect', 'domain/queue')
  t.deepEqual(cellsOf(stdout, 'queue.depth'), ['queue.depth', '1'])
  t.deepEqual(cellsOf(stdout, 'queue.overflow'), ['queue.overflow', 'drop-oldest'])
  const json = await run('inspect', 'domain/queue', '--json')
  t.deepEqual((JSON.parse(json.stdout) as { queue: QueueStats }).queue, shm.portQueue('queue').stats()!)
  const wrong = await run('inspect', 'domain/none')
  t.deepEqual([wrong.code, wrong.stdout], [2, ''])
  t.regex(wrong.stderr, /^ERR_MILLRACE_NOT_FOUND: domain "domain" has no .* "none"; it has queue\n/)
  t.is((await run('inspect', 'none')).code, 2)
  t.deepEqual(readdirSync(directory.path).toSorted(), ['.domain.lock', 'domain'])
})

onLinux('inspect: a segment that cannot be read is named, and the exit code is 1', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('domain', { persist: true })
  shm.portQueue('queue', { capacity: 4 })
  shm.close()
  truncateSync(objectOf(shm, 'pool.0'), 0)
  const { code, stdout } = await inDirectory(directory)('inspect', 'domain')
  t.is(code, 1)
  t.regex(stdout, /^damaged: .*pool\.0/m)
})
