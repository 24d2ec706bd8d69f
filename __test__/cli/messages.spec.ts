// Commands that move or show messages, against domains with other processes in them.
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { type Overflow, SageQueue } from '../../index.js'
import { drainQueue } from '../../cli/commands/drain.js'
import { redriveQueue } from '../../cli/commands/redrive.js'
import type { Work } from '../../cli/progress.js'
import { sendSignal } from '../../lib/send-signal.js'
import { millrace, millraceBy, startMillrace } from '../helpers/cli.js'
import { type TestDirectory, testDirectory } from '../helpers/directory.js'
import { HAS_TERMINALS, TestTerminal } from '../helpers/terminal.js'
import { until } from '../process/children.js'

const inTerminal = HAS_TERMINALS ? test : test.skip

function inDirectory({ path }: TestDirectory) {
  return (...args: string[]) => millrace(...args, '--directory', path)
}

/** What a command that goes on prints, line by line. */
function lines(t: ExecutionContext, { path }: TestDirectory, ...args: string[]) {
  const running = startMillrace(...args, '--directory', path)
  t.teardown(() => sendSignal(running.process, 'SIGKILL'))
  const told: string[] = []
  running.process.stdout!.on('data', (text: string) => told.push(...text.split('\n').filter((line) => line !== '')))
  return { ...running, told }
}

test('put and get: bytes by argument and by standard input, values of a codec as JSON', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 2 })
  t.deepEqual(await run('put', 'domain/queue', 'hello'), { code: 0, signal: null, stdout: '', stderr: '' })
  const piped = ['bash', '-c', `printf 'by pipe\\n' | "$0" "$@"`]
  t.is((await millraceBy(piped, 'put', 'domain/queue', '-', '--directory', directory.path)).code, 0)
  t.is(queue.depth, 2)
  const full = await run('put', 'domain/queue', 'no room')
  t.deepEqual([full.code, full.stderr], [1, 'domain/queue is full\n'])
  t.is(queue.tryReceive()!.text(), 'hello')
  const got = await run('get', 'domain/queue', '--format', 'hex')
  t.deepEqual([got.code, got.stdout], [0, `${Buffer.from('by pipe\n').toString('hex')}\n`])
  const empty = await run('get', 'domain/queue')
  t.deepEqual([empty.code, empty.stdout, empty.stderr], [1, '', 'domain/queue is empty: 0 of 1 messages\n'])
  const values = shm.portQueue<object>('values', { capacity: 4, codec: 'v8' })
  t.is((await run('put', 'domain/values', '{"a":[1,2]}')).code, 0)
  t.deepEqual(values.tryGet(), { a: [1, 2] })
  values.tryPut({ b: 2n ** 70n })
  values.tryPut({ c: 'text' })
  const both = await run('get', 'domain/values', '--count', '2')
  t.is(both.stdout, `{"b":"${2n ** 70n}"}\n{"c":"text"}\n`)
  values.tryPut({ d: 1 })
  const wrong = await run('get', 'domain/values', '--format', 'hex')
  t.is(wrong.code, 2)
  t.is(values.depth, 1, 'refused before anything is taken')
  t.is((await run('get', 'domain/values', '--json')).stdout, '{"value":{"d":1}}\n')
  const noJson = await run('put', 'domain/values', '{')
  t.is(noJson.code, 2)
  t.regex(noJson.stderr, /^the queue has codec v8, so the message must be JSON: /)
  t.is(shm.registry.snapshot().participants.length, 1, 'nobody is left behind')
})

test('get waits as long as it is told, and is woken by a message', async (t) => {
  const directory = testDirectory(t)
  const queue = directory.open('domain').portQueue('queue', { capacity: 2 })
  const waiting = lines(t, directory, 'get', 'domain/queue', '--timeout', '30000')
  await until(() => queue.stats()!.attached === 2)
  queue.tryPut(Buffer.from('late'))
  t.is((await waiting.ended).code, 0)
  t.deepEqual(waiting.told, ['late'])
})

test('a get that is killed while it waits takes nothing with it', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 2 })
  const waiting = lines(t, directory, 'get', 'domain/queue', '--timeout', '30000')
  await until(() => queue.stats()!.receiveWaits === 1)
  sendSignal(waiting.process, 'SIGKILL')
  await waiting.ended
  queue.tryPut(Buffer.from('x'))
  t.is((await inDirectory(directory)('get', 'domain/queue', '--timeout', '30000')).stdout, 'x\n')
  await until(() => shm.registry.snapshot().recoveries === 1)
  t.like(shm.registry.snapshot().recovered, { lost: 0, redelivered: 0 })
  t.deepEqual(await shm.fsck(), [])
})

test('a command that takes part makes no domain, no queue, and touches nothing of the dead', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('domain')
  shm.topic('topic', { history: 1 })
  // In another directory: whoever takes part in a domain removes what the dead have left beside it.
  const elsewhere = testDirectory(t)
  await (await elsewhere.start('dead')).kill()
  const before = process.platform === 'linux' ? elsewhere.contents('dead') : {}
  for (const command of ['put', 'get', 'drain', 'redrive', 'tap', 'hz', 'bw']) {
    const none = await run(command, 'none/queue')
    t.deepEqual([none.code, none.stdout], [2, ''], command)
    t.regex(none.stderr, /^ERR_MILLRACE_NOT_FOUND: there is no domain "none"/, command)
    const missing = await run(command, 'domain/queue')
    t.is(missing.code, 2, command)
    t.regex(missing.stderr, /domain "domain" has no queue.* "queue"; it has topic\n/, command)
    const dead = await inDirectory(elsewhere)(command, 'dead/queue')
    t.is(dead.code, 2, command)
    const domain = await run(command, 'domain')
    t.regex(domain.stderr, /^"domain" names no .*<domain>\/<name> is needed\n/, command)
  }
  if (process.platform === 'linux') t.deepEqual(elsewhere.contents('dead'), before)
  t.deepEqual(shm.registry.snapshot().queues, [])
})

test('what is put where nobody is, in a domain that persists, is there for the next', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('kept', { persist: true })
  shm.portQueue('queue', { capacity: 4 })
  shm.close()
  t.is((await run('put', 'kept/queue', 'x')).code, 0)
  t.is((await run('get', 'kept/queue')).stdout, 'x\n')
  t.is((await run('get', 'kept/queue')).code, 1)
})

test('drain takes all there is, exactly', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 1024, delivery: 'at-least-once' })
  for (let i = 0; i < 700; i++) queue.tryPut(Buffer.alloc(100))
  const { code, stdout } = await run('drain', 'domain/queue')
  t.deepEqual([code, stdout], [0, 'domain/queue: 700 messages taken, 68.4 KiB\n'])
  t.like(queue.stats(), { depth: 0, leased: 0, pending: 0, received: 700 })
  const json = await run('drain', 'domain/queue', '--json')
  t.deepEqual(JSON.parse(json.stdout), { domain: 'domain', queue: 'queue', messages: 0, bytes: 0 })
  t.deepEqual(await shm.fsck(), [])
})

test('redrive moves dead letters back until the queue is full, and loses none', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 4, delivery: 'at-least-once', maxDeliveries: 1 })
  const nothing = await run('redrive', 'domain/queue')
  t.deepEqual([nothing.code, nothing.stdout], [2, ''])
  for (let i = 0; i < 3; i++) queue.tryPut(Buffer.from(`${i}`))
  for (let i = 0; i < 3; i++) queue.tryReceive()!.nack()
  t.is(queue.tryReceive(), null)
  t.like(queue.stats(), { depth: 0, deadLettered: 3 })
  const one = await run('redrive', 'domain/queue', '--count', '1')
  t.deepEqual([one.code, one.stdout], [0, 'domain/queue: 1 message moved back, 2 left\n'])
  const first = queue.tryReceive()!
  t.is(first.text(), '0')
  first.release()
  for (let i = 0; i < 3; i++) queue.tryPut(Buffer.from('new'))
  const rest = await run('redrive', 'domain/queue', '--json')
  t.is(rest.code, 1)
  t.deepEqual(JSON.parse(rest.stdout), { domain: 'domain', queue: 'queue', moved: 1, left: 1, full: true })
  t.deepEqual(
    queue.receiveMany(8).map((message) => message.text()),
    ['new', 'new', 'new', '1'],
  )
  t.is(shm.portQueue('queue.dead').tryReceive()!.text(), '2')
})

test('put, get, drain and redrive of the work queue of a SageQueue', async (t) => {
  const directory = testDirectory(t)
  const run = inDirectory(directory)
  const jobs = new SageQueue<unknown>('jobs', {
    domain: 'work',
    directory: directory.path,
    maxsize: 3,
    maxDeliveries: 1,
  })
  t.teardown(() => jobs.close())
  t.is((await run('put', 'work/jobs', '{"id":1}')).code, 0)
  t.deepEqual(await jobs.get(), { id: 1 })
  jobs.taskDone()
  for (const id of [2, 3]) jobs.putNowait({ id })
  t.is((await run('get', 'work/jobs')).stdout, '{"id":2}\n')
  t.like(jobs.getStats(), { size: 1, inWork: 0 })
  const drained = await run('drain', 'work/jobs')
  t.is(drained.stdout, 'work/jobs: 1 message taken\n')
  await jobs.join()
  for (const id of [4, 5]) {
    jobs.putNowait({ id })
    await jobs.get()
    jobs.giveBack()
  }
  t.throws(() => jobs.getNowait())
  for (const id of [6, 7]) jobs.putNowait({ id })
  const { code, stdout } = await run('redrive', 'work/jobs')
  t.deepEqual([code, stdout], [1, 'work/jobs: 1 message moved back, 1 left: it is full\n'])
  const values = [jobs.getNowait(), jobs.getNowait(), jobs.getNowait()]
  t.deepEqual(values, [{ id: 6 }, { id: 7 }, { id: 4 }])
  for (const value of values) jobs.taskDone(value)
  t.is((await run('redrive', 'work/jobs')).code, 0)
  t.deepEqual(jobs.getNowait(), { id: 5 })
  jobs.taskDone()
  jobs.putNowait({ id: 8 })
  for (const command of [['tap'], ['bw'], ['record', join(directory.path, 'never')]]) {
    const [name, ...rest] = command
    const { code: refused, stderr } = await run(name!, 'work/jobs', ...rest)
    t.is(refused, 2)
    t.regex(stderr, /^ERR_MILLRACE_UNSUPPORTED: "jobs" is the work queue of a SageQueue, .*: `millrace hz` counts/)
  }
  t.deepEqual(jobs.getNowait(), { id: 8 })
  jobs.taskDone()
})

for (const overflow of ['block', 'drop-oldest'] satisfies Overflow[]) {
  test(`tap shows what is at the front of a queue (${overflow}) and takes nothing`, async (t) => {
    const directory = testDirectory(t)
    const queue = directory.open('domain').portQueue('queue', { capacity: 4, overflow })
    queue.tryPut(Buffer.from('one'))
    queue.tryPut(Buffer.from('two'))
    const tap = lines(t, directory, 'tap', 'domain/queue')
    await until(() => tap.told.length === 1)
    queue.tryReceive()!.release()
    await until(() => tap.told.length === 2)
    queue.tryReceive()!.release()
    queue.tryPut(Buffer.from('three'))
    await until(() => tap.told.length === 3)
    t.deepEqual(tap.told, ['one', 'two', 'three'])
    t.like(queue.stats(), { depth: 1, received: 2, dropped: 0 })
    sendSignal(tap.process, 'SIGINT')
    t.is((await tap.ended).code, 0)
  })
}

test('tap of a topic sees what is published, and holds nobody up, also when it is stopped or killed', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('domain')
  const topic = shm.topic<object>('news', { codec: 'json' })
  const tap = lines(t, directory, 'tap', 'domain/news', '--json')
  await until(() => shm.stats().topics[topic.name]?.subscriptions.length === 1)
  topic.tryPut({ a: 1 })
  await until(() => tap.told.length === 1)
  t.deepEqual(tap.told, ['{"length":7,"value":"{\\"a\\":1}"}'])
  if (process.platform !== 'win32') sendSignal(tap.process, 'SIGSTOP')
  for (let i = 0; i < 10_000; i++) t.truthy(topic.tryPut({ i }))
  sendSignal(tap.process, 'SIGKILL')
  await tap.ended
  await until(() => shm.registry.snapshot().recoveries === 1)
  t.is(topic.tryPut({ b: 1 })!.delivered, 0)
  t.deepEqual(await shm.fsck(), [])
})

test('hz counts exactly what passes, and ends with the domain', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 4, overflow: 'drop-oldest' })
  const running = lines(t, directory, 'hz', 'domain/queue', '--interval', '50', '--json')
  await until(() => running.told.length > 0)
  for (let i = 0; i < 6; i++) queue.tryPut(Buffer.from('x'))
  queue.tryReceive()!.release()
  const seen = () =>
    running.told.map(
      (line) => JSON.parse(line) as { ms: number; depth: number; sent: number; received: number; dropped: number },
    )
  await until(() => seen().at(-1)!.depth === 3)
  t.is(shm.registry.snapshot().participants.length, 1, 'it takes no part')
  shm.close()
  t.is((await running.ended).code, 0)
  const counted = (what: 'sent' | 'received' | 'dropped') =>
    Math.round(seen().reduce((sum, one) => sum + (one[what] * one.ms) / 1000, 0))
  t.deepEqual([counted('sent'), counted('received'), counted('dropped')], [6, 1, 2])
})

test('hz counts what passes through a work queue, too', async (t) => {
  const directory = testDirectory(t)
  const queue = new SageQueue<number>('jobs', { namespace: 'work', directory: directory.path })
  t.teardown(() => queue.close())
  const running = lines(t, directory, 'hz', 'sage.work/jobs', '--interval', '50', '--json')
  await until(() => running.told.length > 0)
  for (let i = 0; i < 3; i++) queue.putNowait(i)
  await until(() => running.told.some((line) => (JSON.parse(line) as { depth: number }).depth === 3))
  sendSignal(running.process, 'SIGINT')
  const { code, stdout } = await running.ended
  t.is(code, 0)
  const rates = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { ms: number; sent: number })
  t.is(Math.round(rates.reduce((sum, { ms, sent }) => sum + (sent * ms) / 1000, 0)), 3)
})

inTerminal('what takes longer than a second says so on a terminal, until it ends', async (t) => {
  const directory = testDirectory(t)
  const queue = directory.open('domain').portQueue('queue', { capacity: 1 })
  // Somebody who receives: else a warning says so.
  t.is(queue.tryGet(), undefined)
  while (queue.tryPut(Buffer.from('x')));
  const args = ['put', 'domain/queue', 'late', '--timeout', '2500', '--directory', directory.path]
  const terminal = new TestTerminal(t, args, { columns: 80, rows: 24 })
  await terminal.shows((screen) => screen.includes('put domain/queue waits for room: 1 second'))
  t.is(await terminal.ended, 1)
  t.deepEqual(
    terminal.screen.filter((line) => line !== ''),
    ['domain/queue is full'],
  )
})

/** Interrupts what `begin` begins as soon as it has come somewhere; what it said then, and what it has come to. */
async function interruptedAtOnce<T>(begin: (signal: AbortSignal) => Work<T>): Promise<[told: string, T]> {
  const stop = new AbortController()
  const { progress, done } = begin(stop.signal)
  while (progress().includes(' 0 messages')) await setImmediate()
  const told = progress()
  stop.abort()
  return [told, await done]
}

test('drain and redrive say how far they are, and end in order when they are interrupted', async (t) => {
  const directory = testDirectory(t)
  const where = { directory: directory.path }
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 2048, delivery: 'at-least-once', maxDeliveries: 1 })
  const fill = () => {
    while (queue.tryPut(Buffer.from('x')));
  }
  const place = { domain: 'domain', name: 'queue' }
  fill()
  const [told, { messages }] = await interruptedAtOnce((signal) => drainQueue(place, where, signal))
  t.regex(told, /^domain\/queue: \d+ messages taken, \d+ B$/)
  t.true(messages > 0 && messages < 2048)
  t.like(queue.stats(), { depth: 2048 - messages, received: messages, leased: 0 })
  fill()
  for (let i = 0; i < 2048; i++) queue.tryReceive()!.nack()
  t.is(queue.tryReceive(), null)
  const letters = shm.portQueue('queue.dead')
  const [, { moved, left, full }] = await interruptedAtOnce((signal) => redriveQueue(place, Infinity, where, signal))
  t.true(moved > 0 && moved < 2048)
  t.deepEqual([left, letters.depth, queue.depth, full], [2048 - moved, left, moved, false])
  t.is(shm.registry.snapshot().recovered.lost, 0)
  t.is(shm.registry.snapshot().participants.length, 1)
  t.deepEqual(await shm.fsck(), [])
})

test('bw: the mean size of what is seen, times what passes', async (t) => {
  const directory = testDirectory(t)
  const shm = directory.open('domain')
  const topic = shm.topic('frames', { history: 1 })
  const running = lines(t, directory, 'bw', 'domain/frames', '--interval', '50', '--json')
  await until(() => shm.stats().topics[topic.name]?.subscriptions.length === 1)
  interface Sample {
    size: number | null
    sent: number
    bytes: number | null
  }
  const samples = () => running.told.map((line) => JSON.parse(line) as Sample)
  await until(() => {
    topic.tryPut(Buffer.alloc(1000))
    return samples().some(({ size, sent }) => size === 1000 && sent > 0)
  })
  const { size, sent, bytes } = samples().find((sample) => sample.size === 1000 && sample.sent > 0)!
  t.is(bytes, size! * sent)
  sendSignal(running.process, 'SIGINT')
  t.is((await running.ended).code, 0)
})
