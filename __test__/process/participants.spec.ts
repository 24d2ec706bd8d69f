import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import test from 'ava'
import type { ParticipantLeft, ParticipantReport, ShmManager } from '../../index.js'
import type { MemberArgs } from '../fixtures/member.js'
import type { Told, WatchArgs } from '../fixtures/watch.js'
import type { WorkerData } from '../fixtures/worker.js'
import { testDomain } from '../helpers/domain.js'
import { startChild, until } from './children.js'

/** What a manager hears of who comes and goes. */
class Heard {
  readonly all: Told[] = []
  readonly joined: ParticipantReport[] = []
  readonly left: ParticipantLeft[] = []

  constructor(shm: ShmManager) {
    shm.on('participant-joined', (report) => {
      this.joined.push(report)
      this.all.push(['joined', report.name, report.sequence, report.missed])
    })
    shm.on('participant-left', (report) => {
      this.left.push(report)
      this.all.push([report.reason, report.name, report.sequence, report.missed])
    })
  }

  /** How who has this name has left; waits for it. */
  async ending(name: string): Promise<[reason: string, code: number | undefined]> {
    const find = () => this.left.find((report) => report.name === name)
    await until(() => find() !== undefined)
    const { reason, code } = find()!
    return [reason, code]
  }
}

test('joining and every way of leaving are told, in order', async (t) => {
  const domain = testDomain(t)
  const heard = new Heard(domain.open())
  const endings: [MemberArgs['ending'], [string, number | undefined]][] = [
    ['close', ['closed', undefined]],
    ['using', ['closed', undefined]],
    ['throw', ['exited', 1]],
    ['exit', ['exited', 3]],
    ['runOut', ['exited', 0]],
    ['exitCode', ['exited', 4]],
    ['closeAtExit', ['closed', undefined]],
    ['never', ['died', undefined]],
  ]
  for (const [ending, expected] of endings) {
    const args: MemberArgs = { domain: domain.name, name: ending, ending }
    const child = await startChild(t, 'member', args).started()
    child.say('end')
    if (ending === 'never') await child.kill()
    t.deepEqual(await heard.ending(`${ending} 0`), expected, ending)
    // What it tells after its end, for one that only closes.
    await child.kill()
    const [joined, left] = [heard.joined.at(-1)!, heard.left.at(-1)!]
    t.deepEqual([joined.slot, joined.epoch, joined.name, joined.pid], [left.slot, left.epoch, left.name, child.pid])
  }
  const sequences = heard.all.map(([, , sequence]) => sequence)
  t.deepEqual(
    sequences,
    sequences.map((_, i) => sequences[0]! + i),
  )
  t.is(sequences.length, endings.length * 2)
})

test('worker threads: one that ends has exited, one that is terminated too', async (t) => {
  const domain = testDomain(t)
  const heard = new Heard(domain.open())
  domain.open().portQueue('to-worker', {})
  const start = (job: WorkerData['job']) =>
    new Worker(new URL('../fixtures/worker.js', import.meta.url), { workerData: { job, domain: domain.name } })
  const ways: [WorkerData['job'], [string, number | undefined]][] = [
    ['abandon', ['exited', 0]],
    ['exit', ['exited', 5]],
    ['hang', ['exited', undefined]],
  ]
  for (const [job, expected] of ways) {
    const worker = start(job)
    if (job === 'hang') await once(worker, 'message').then(() => worker.terminate())
    else await once(worker, 'exit')
    await until(() => heard.left.length === ways.findIndex(([other]) => other === job) + 1)
    const { reason, code, name } = heard.left.at(-1)!
    t.deepEqual([reason, code], expected, job)
    t.true(name.endsWith(`/${worker.threadId}`) || worker.threadId === -1, name)
  }
})

test('a hundred that join and are killed at once are told to everybody once, in one order', async (t) => {
  const domain = testDomain(t)
  const heard = new Heard(domain.open())
  const watch: WatchArgs = { domain: domain.name, last: 'end 0' }
  const watcher = await startChild(t, 'watch', watch).started()
  const start = (name: string, count: number) =>
    startChild(t, 'member', { domain: domain.name, name, ending: 'close', count } satisfies MemberArgs)
  // At the same time, so that their events are mixed.
  const crowds = [1, 2, 3, 4].map((crowd) => start(`crowd ${crowd}`, 25))
  await Promise.all(crowds.map((crowd) => crowd.started()))
  await Promise.all(crowds.map((crowd) => crowd.kill()))
  await until(() => heard.left.length === 100)
  const end = await start('end', 1).started()
  end.say('end')
  const theirs = await watcher.hear<Told[]>()
  await heard.ending('end 0')
  const mine = heard.all.filter(([, name]) => name !== 'watcher')
  t.deepEqual(theirs, mine)
  const of = (change: string) => new Set(mine.flatMap(([what, name]) => (what === change ? [name] : [])))
  t.is(mine.length, 202)
  t.is(of('joined').size, 101)
  t.is(of('died').size, 100)
  t.true(mine.every(([, , sequence, missed], i) => missed === 0 && sequence === mine[0]![2] + i))
})

test('who did not look is told how many events it has missed', async (t) => {
  const domain = testDomain(t)
  const heard = new Heard(domain.open())
  const watch: WatchArgs = { domain: domain.name, last: 'end 0' }
  const watcher = await startChild(t, 'watch', watch).started()
  // It sleeps, inside of nothing.
  watcher.signal('SIGSTOP')
  const start = (name: string, count: number) =>
    startChild(t, 'member', { domain: domain.name, name, ending: 'close', count } satisfies MemberArgs)
  for (const crowd of [1, 2]) {
    const child = await start(`crowd ${crowd}`, 100).started()
    await child.kill()
    await until(() => heard.left.length === crowd * 100)
  }
  const end = await start('end', 1).started()
  end.say('end')
  await heard.ending('end 0')
  watcher.signal('SIGCONT')
  const theirs = await watcher.hear<Told[]>()
  t.is(theirs[0]![3], 402 - 256)
  t.is(theirs.length, 256)
  t.true(theirs.slice(1).every(([, , , missed]) => missed === 0))
  t.deepEqual(
    theirs.map(([change, name, sequence]) => [change, name, sequence]),
    heard.all.slice(-256).map(([change, name, sequence]) => [change, name, sequence]),
  )
})
