// `millrace top`: printed once, and alive in a pseudo-terminal, over domains with real processes in them, killed ones too.
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import test from 'ava'
import { type ParticipantLeft, ShmObserver } from '../../index.js'
import { Ages } from '../../cli/figures/ages.js'
import { Sampler } from '../../cli/figures/sampler.js'
import type { View } from '../../cli/figures/view.js'
import { Moments } from '../../cli/top/moments.js'
import { sendSignal } from '../../lib/send-signal.js'
import { millrace, startMillrace } from '../helpers/cli.js'
import { type TestDirectory, testDirectory } from '../helpers/directory.js'
import { HAS_TERMINALS, TestTerminal } from '../helpers/terminal.js'

const onLinux = process.platform === 'linux' ? test : test.skip
const inTerminal = HAS_TERMINALS ? test : test.skip

const SMALL = { columns: 80, rows: 24 }

function inDirectory({ path }: TestDirectory) {
  return (...args: string[]) => millrace('top', ...args, '--directory', path)
}

async function viewOf(run: ReturnType<typeof inDirectory>, ...args: string[]): Promise<View & { code: number | null }> {
  const { code, stdout } = await run('--once', '--json', ...args)
  return { code, ...(JSON.parse(stdout) as View) }
}

/** A view of nothing. */
function viewFrom(): View {
  return new Sampler([], { directory: '/nowhere' }).look().view
}

const selected = (name: string) => (screen: string[]) =>
  screen.some((line) => line.startsWith('>') && line.includes(name))

const foot = (text: string) => (screen: string[]) => screen.at(-1)!.startsWith(text)

const isDeep = (count: number, oldest: string) => (screen: string[]) =>
  screen.some((line) => new RegExp(`^ +${count} +8 +${oldest} .* camera/frames`).test(line))

const isPaused = (screen: string[]) => screen[0]!.startsWith('millrace top  PAUSED ')

const isAbout = (place: string) => (one: { place: string }) => one.place === place

test('--once --json: who is there, what is in the queues, and no warning', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  t.like(await viewOf(run), { code: 0, domains: [], queues: [], warnings: [] })
  const shm = directory.open('camera', { name: 'the test' })
  const queue = shm.portQueue('frames', { capacity: 8 })
  queue.tryPut(Buffer.from('x'))
  queue.tryReceive()!.release()
  queue.tryPut(Buffer.from('x'))
  const topic = shm.topic('news', { history: 1 })
  using subscription = topic.subscribe({ capacity: 8 })
  topic.tryPut(Buffer.from('x'))
  subscription.tryReceive()!.release()
  directory.open('kept', { persist: true }).close()
  const before = directory.contents('kept')
  t.is((await viewOf(run, '--interval', '1')).domains.length, 2)
  t.deepEqual(directory.contents('kept'), before, 'who only looks changes nothing')
  const view = await viewOf(run, 'camera', '--interval', '50')
  t.is(view.code, 0)
  t.deepEqual(view.warnings, [])
  t.like(view.queues.find(isAbout('camera/frames')), {
    kind: 'queue',
    depth: 1,
    limit: 8,
    sentPerSecond: 0,
    senders: ['0.1'],
    receivers: ['0.1'],
  })
  t.like(view.queues.find(isAbout('camera/news@0.1')), { kind: 'subscription', depth: 0, receivers: ['0.1'] })
  t.like(view.queues.find(isAbout('camera/news')), { kind: 'topic', depth: null })
  t.like(view.participants[0], { domain: 'camera', pid: process.pid, name: 'the test', state: 'alive' })
  t.true(view.seconds >= 0.05)
  t.deepEqual(readdirSync(directory.path).toSorted(), ['.camera.lock', '.kept.lock', 'camera', 'kept'])
})

test('the oldest message has waited at least since it was first seen', async (t) => {
  const ages = new Ages()
  const looks: [at: number, sent: number, depth: number, oldest: number | null][] = [
    [0, 0, 0, null],
    [100, 3, 2, 0],
    [200, 3, 2, 100],
    [300, 5, 4, 200],
    // What was there at the first look has left; the rest came by the time of the look before.
    [400, 5, 2, 100],
    [500, 6, 1, 0],
    [600, 6, 0, null],
    // Another queue of that name.
    [700, 2, 2, 0],
    [800, 2, 1, 100],
  ]
  for (const [at, sent, depth, oldest] of looks) t.is(ages.oldest('queue', { sent, depth }, at), oldest, `${at}`)
  ages.keep(new Set())
  t.is(ages.oldest('queue', { sent: 2, depth: 1 }, 900), 0)

  const directory = testDirectory(t)
  const shm = directory.open('camera')
  shm.portQueue('frames', { capacity: 8 }).tryPut(Buffer.from('x'))
  shm.portQueue('empty', { capacity: 8 })
  const view = await viewOf(inDirectory(directory), '--interval', '300')
  const { oldestMs } = view.queues.find(isAbout('camera/frames'))!
  t.is(oldestMs! / 1000, view.seconds)
  t.is(view.queues.find(isAbout('camera/empty'))!.oldestMs, null)
})

test('rates: messages that pass while it looks', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('camera')
  const queue = shm.portQueue('frames', { capacity: 8 })
  const { ended } = startMillrace('top', 'camera', '--once', '--json', '--directory', directory.path)
  const over = new AbortController()
  void ended.then(() => over.abort())
  while (!over.signal.aborted) {
    for (let i = 0; i < 10; i++) {
      queue.tryPut(Buffer.from('x'))
      queue.tryReceive()!.release()
    }
    await setImmediate()
  }
  const { code, stdout } = await ended
  const view = JSON.parse(stdout) as View
  const frames = view.queues.find(isAbout('camera/frames'))!
  t.is(code, 0)
  t.true(frames.sentPerSecond > 0)
  t.true(Math.abs(frames.sentPerSecond - frames.receivedPerSecond!) * view.seconds <= 8, 'no more than fits into it')
  t.true(frames.sentPerSecond * view.seconds <= queue.stats()!.sent)
  t.true(view.participants[0]!.sentPerSecond > 0)
})

onLinux('warnings have names, and make the exit code 1', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('camera', { name: 'the test' })
  shm.portQueue('forgotten', { capacity: 4 }).tryPut(Buffer.from('x'))
  const jobs = shm.portQueue('jobs', { capacity: 4, delivery: 'at-least-once', maxDeliveries: 1 })
  jobs.tryPut(Buffer.from('x'))
  jobs.tryReceive()!.nack()
  t.is(jobs.tryReceive(), null)
  const slow = shm.portQueue('slow', { capacity: 4, overflow: 'reject' })
  slow.tryPut(Buffer.from('x'))
  slow.tryReceive()!.release()
  for (let i = 0; i < 4; i++) slow.tryPut(Buffer.from('x'))
  const child = await directory.start('camera')
  const stopped = once(shm, 'participant-stalled')
  child.signal('SIGSTOP')
  await stopped
  await (await directory.start('dead')).kill()
  const { code, warnings } = await viewOf(run)
  t.is(code, 1)
  const told = warnings.map(({ kind, place }) => `${kind} ${place}`)
  t.deepEqual(told.toSorted(), [
    'dead dead',
    'dead-letters camera/jobs.dead',
    'no-consumer camera/forgotten',
    'slow-consumer camera/slow',
    'stalled camera',
  ])
  const [stalled, dead, letters, behind] = (['stalled', 'dead', 'dead-letters', 'slow-consumer'] as const).map(
    (each) => warnings.find(({ kind }) => kind === each)!.message,
  )
  t.regex(
    stalled!,
    new RegExp(`process ${child.pid}\\) is stopped .*: kill -CONT ${child.pid}, or millrace evict camera 1\\.1`),
  )
  t.regex(dead!, /^0\.1 \(.*\) has died and is not recovered yet$/)
  t.is(letters, '1 dead letter: millrace redrive camera/jobs')
  t.is(behind, `4 of 4 messages: 0.1 ("the test", process ${process.pid}) cannot keep up`)
  const { stdout } = await run('--once', '--filter', 'forgotten')
  t.regex(stdout, /^! no-consumer: camera\/forgotten: 1 message and nobody who receives$/m)
  t.regex(stdout, /^ {2}depth +limit .*\n.* camera\/forgotten /m)
  t.notRegex(stdout, /^ .*camera\/slow/m)
  child.signal('SIGCONT')
})

test('memory that is nearly used up is warned of with who holds most', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('camera', { name: 'hoarder', maxBytes: 2 ** 22 })
  const hoard = shm.allocateMany(2 ** 20, 4)
  t.is(hoard.length, 4)
  const { warnings } = await viewOf(inDirectory(directory), 'camera')
  t.deepEqual(warnings, [
    {
      kind: 'memory-nearly-used',
      place: 'camera',
      message: `buffers of 4 MiB are in use, of 4 MiB; 0.1 ("hoarder", process ${process.pid}) holds 4 references`,
    },
  ])
  for (const one of hoard) one.release()
})

test('--json without --once: a line an interval, until it is interrupted', async (t) => {
  const directory = testDirectory(t)
  directory.open('camera')
  const { process: child, ended } = startMillrace('top', '--json', '--interval', '10', '--directory', directory.path)
  let lines = 0
  let isAsked = false
  child.stdout!.on('data', (text: string) => {
    lines += text.split('\n').length - 1
    // A second one ends it at once.
    if (lines >= 3 && !isAsked) {
      isAsked = true
      sendSignal(child, 'SIGINT')
    }
  })
  const { code, stdout } = await ended
  t.is(code, 0)
  const views = stdout.trim().split('\n')
  t.true(views.length >= 3)
  for (const view of views) t.is((JSON.parse(view) as View).domains.length, 1)
})

test('what it cannot do', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const noTerminal = await run()
  t.is(noTerminal.code, 2)
  t.regex(noTerminal.stderr, /^standard output is no terminal: --once prints/)
  t.regex((await run('--once', 'none')).stderr, /^ERR_MILLRACE_NOT_FOUND: there is no domain "none"/)
  t.regex((await run('--once', '--sort', 'size')).stderr, /^--sort must be one of depth, limit, .*, not "size"/)
  t.false(existsSync(join(directory.path, 'none')))
})

inTerminal(
  'on 80×24, without colour: tables, sorting, filter, pause, another size, and the terminal as it was',
  async (t) => {
    const directory = testDirectory(t)
    const shm = directory.open('camera', { name: 'evil\u001b[2J\u009b31m' })
    for (let i = 0; i < 30; i++) {
      const queue = shm.portQueue(`queue-${String(i).padStart(2, '0')}`, { capacity: 64 })
      for (let n = 0; n < i; n++) queue.tryPut(Buffer.from('x'))
      queue.tryReceive()?.release()
    }
    const args = ['top', '--interval', '50', '--directory', directory.path]
    const terminal = new TestTerminal(t, args, { ...SMALL, env: { NO_COLOR: '1' } })
    const first = await terminal.shows((screen) => screen.some((line) => line.includes('camera/queue-00')))
    t.true(terminal.isTaken)
    t.regex(first[0]!, /^millrace top {2}1 domain, 1 participant, 30 queues, /)
    t.regex(first.at(-1)!, /^q quit/)
    // The deepest first.
    terminal.type('s')
    const sorted = await terminal.shows((screen) => screen.some((line) => line.includes('sort: depth')))
    const rows = sorted.filter((line) => line.includes('camera/'))
    t.regex(rows[0]!, /^ +28 +64 .* camera\/queue-29 /)
    t.is(sorted.length, 24)
    t.true(rows.length >= 19, 'the screen is used')
    // What is below.
    terminal.type('\u001b[6~\u001b[6~')
    const below = await terminal.shows((screen) => screen.some((line) => line.includes('camera/queue-00')))
    t.false(below.some((line) => line.includes('camera/queue-29')))
    terminal.type('/queue-17\r')
    const filtered = await terminal.shows((screen) => screen.some((line) => line.includes('filter: queue-17')))
    t.is(filtered.filter((line) => line.includes('camera/')).length, 1)
    terminal.type('p')
    await terminal.shows((screen) => screen[0]!.startsWith('millrace top  PAUSED '))
    const queue = shm.portQueue('queue-17')
    while (queue.tryPut(Buffer.from('x')));
    terminal.type('p')
    await terminal.shows((screen) => screen.some((line) => /^ +64 +64 .* camera\/queue-17 /.test(line)))
    terminal.type('/\u001b')
    await terminal.shows((screen) => screen.every((line) => !line.includes('filter:')))
    terminal.type('2')
    const participants = await terminal.shows((screen) => screen.some((line) => line.includes('[2 participants]')))
    t.true(
      participants.some((line) => /camera +0\.1 +\d+ +alive +evil�\[2J�31m$/.test(line)),
      participants.join('\n'),
    )
    terminal.resize(40, 10)
    const small = await terminal.shows(
      (screen) => screen[0]!.startsWith('millrace top') && screen.at(-1) === 'q quit  1-4 table  s sort  / filter  p p',
    )
    t.is(small.length, 10)
    terminal.type('q')
    t.is(await terminal.ended, 0)
    t.false(terminal.isTaken)
    t.true(terminal.output.includes('\u001b[?25h'), 'the cursor is back')
    t.false(terminal.output.split('\u001b').some((part) => /^\[[\d;]*m/.test(part)))
  },
)

inTerminal('it goes on while half of the participants are killed, shows it, and holds nobody up', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('camera', { name: 'survivor' })
  const queue = shm.portQueue('queue', { capacity: 8 })
  for (let i = 0; i < 8; i++) queue.tryPut(Buffer.from('x'))
  const children = [await directory.start('camera'), await directory.start('camera'), await directory.start('camera')]
  const terminal = new TestTerminal(t, ['top', 'camera', '--interval', '50', '--directory', directory.path], SMALL)
  await terminal.shows((screen) => screen.at(-1)!.startsWith('q quit'))
  terminal.type('2')
  await terminal.shows((screen) => screen.some((line) => line.includes(`${children[0]!.pid}`)))
  t.true(terminal.output.includes('\u001b[7m'), 'headings stand out where there are colours')
  for (const child of children.slice(0, 2)) await child.kill()
  await terminal.shows(
    (screen) =>
      screen.some((line) => line.includes(`${children[2]!.pid}`)) &&
      !screen.some((line) => line.includes(`${children[0]!.pid}`) || line.includes(`${children[1]!.pid}`)),
  )
  terminal.type('4')
  const domains = await terminal.shows((screen) => screen.some((line) => line.includes('[4 domains]')))
  // Two participants, two deaths, eight messages lost with the first of them.
  t.true(
    domains.some((line) => / 2 +2 +8 +camera$/.test(line)),
    domains.join('\n'),
  )
  t.true(queue.tryPut(Buffer.from('x')))
  const observer = ShmObserver.open('camera', { directory: directory.path })
  t.deepEqual(await observer.fsck(), [])
  observer.close()
  await children[2]!.kill()
  shm.close()
  // The last one has left, so the domain is gone.
  await terminal.shows((screen) => screen[0]!.includes('0 domains'))
  terminal.type('\u0003')
  t.is(await terminal.ended, 0)
})

inTerminal('rows are selected, and what commands do is done to them when it is confirmed', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('camera', { name: 'the test' })
  const jobs = shm.portQueue('jobs', { capacity: 600, delivery: 'at-least-once', maxDeliveries: 1 })
  for (let i = 0; i < 2; i++) jobs.tryPut(Buffer.from('x'))
  for (let i = 0; i < 2; i++) jobs.tryReceive()!.nack()
  t.is(jobs.tryReceive(), null)
  const letters = shm.portQueue('jobs.dead')
  t.is(letters.depth, 2)
  const child = await directory.start('camera')
  const args = ['top', '--interval', '50', '--directory', directory.path, '--sort', 'name']
  const terminal = new TestTerminal(t, args, { ...SMALL, env: { NO_COLOR: '1' } })
  await terminal.shows((screen) => screen.some((line) => line.includes('camera/jobs.dead')))
  terminal.type('\u001b[B')
  const first = await terminal.shows(selected('camera/jobs '))
  t.regex(first.at(-1)!, /^q quit .* arrows row\/time {2}d drain r redrive$/)
  terminal.type('r')
  await terminal.shows(foot('y yes, any other key no: redrive camera/jobs: move 2 dead letters back into it'))
  terminal.type('n')
  await terminal.shows(foot('q quit'))
  t.is(letters.depth, 2, 'nothing was confirmed')
  terminal.type('r')
  await terminal.shows(foot('y yes'))
  terminal.type('y')
  await terminal.shows(foot('camera/jobs: 2 messages moved back, 0 left'))
  t.deepEqual([jobs.depth, letters.depth], [2, 0])
  for (let i = 0; i < 598; i++) jobs.tryPut(Buffer.from('x'))
  await terminal.shows((screen) => screen.some((line) => /^> *600 +1024 /.test(line)))
  terminal.type('d')
  await terminal.shows(foot('y yes, any other key no: drain camera/jobs: take 600 messages, and what comes'))
  terminal.type('y')
  await terminal.shows(foot('camera/jobs: 600 messages taken, 600 B'))
  t.is(jobs.depth, 0)
  // The row that is selected is the same one wherever it comes to be.
  terminal.type('s')
  await terminal.shows((screen) => screen.every((line) => !line.startsWith('>')) && foot('q quit')(screen))
  terminal.type('2\u001b[B')
  const ended = new Promise<ParticipantLeft>((resolve) => {
    // Those of actions leave, too.
    shm.on('participant-left', (report) => report.pid === child.pid && resolve(report))
  })
  await terminal.shows(selected('0.1'))
  terminal.type('e')
  await terminal.shows(foot(`y yes, any other key no: evict camera 0.1: kill -9 of process ${process.pid} `))
  terminal.type('\u001b[B')
  await terminal.shows(foot('q quit'))
  terminal.type('\u001b[B')
  await terminal.shows(selected('1.1'))
  terminal.type('e')
  await terminal.shows(foot(`y yes, any other key no: evict camera 1.1: kill -9 of process ${child.pid} `))
  terminal.type('y')
  await terminal.shows(foot(`participant 1.1 (process ${child.pid}, `))
  t.is((await ended).reason, 'died')
  terminal.type('4\u001b[B')
  await terminal.shows(selected('camera'))
  terminal.type('c')
  await terminal.shows(foot('y yes, any other key no: clean camera: remove it'))
  terminal.type('y')
  await terminal.shows(foot('camera is in use by '))
  terminal.type('q')
  t.is(await terminal.ended, 0)
  t.deepEqual(
    shm.registry.snapshot().participants.map(({ pid }) => pid),
    [process.pid],
    'nobody is left of the actions',
  )
})

inTerminal('the last minute can be looked at, and what is there goes on', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('camera')
  const queue = shm.portQueue('frames', { capacity: 8 })
  const terminal = new TestTerminal(t, ['top', '--interval', '600', '--directory', directory.path], SMALL)
  // Over however many moments, of which a key that comes twice does not skip all.
  const press = async (key: string, isThere: (screen: string[]) => boolean) => {
    for (let times = 0; times < 100; times++) {
      const before = terminal.output.length
      terminal.type(key)
      await terminal.shows(() => terminal.output.length > before)
      if (isThere(terminal.screen)) return
    }
    t.fail(terminal.screen.join('\n'))
  }
  await terminal.shows(isDeep(0, '-'))
  queue.tryPut(Buffer.from('x'))
  await terminal.shows(isDeep(1, '[2-9](\\.\\d)? s'))
  await press('\u001b[D', (screen) => isPaused(screen) && isDeep(0, '-')(screen))
  queue.tryPut(Buffer.from('x'))
  await press('\u001b[C', (screen) => isPaused(screen) && isDeep(1, '.+')(screen))
  await press('\u001b[C', (screen) => !isPaused(screen))
  await terminal.shows(isDeep(2, '.+'))
  terminal.type('q')
  t.is(await terminal.ended, 0)
})

test('what top remembers: a minute, two moments a second at most', (t) => {
  const view = viewFrom()
  const moments = new Moments()
  for (let at = 0; at <= 100_000; at += 100) moments.add({ at, view })
  const newest = { at: 100_000, view }
  const seen: number[] = []
  for (let one = moments.before(newest); one !== undefined; one = moments.before(one)) seen.push(one.at)
  t.deepEqual([seen.length, seen[0], seen.at(-1)], [120, 99_500, 40_000])
  t.is(moments.after({ at: 99_000, view })!.at, 99_500)
  t.is(moments.after(newest), undefined)
})

inTerminal('SIGTERM leaves the terminal as it was', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('camera')
  const terminal = new TestTerminal(t, ['top', '--directory', directory.path], SMALL)
  await terminal.shows((screen) => screen.some((line) => line.includes('q quit')))
  process.kill(terminal.pid, 'SIGTERM')
  t.is(await terminal.ended, 0)
  t.false(terminal.isTaken)
  shm.close()
})
