// Messages written to a file and sent again, in domains with other processes in them.
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import type { PortQueue } from '../../index.js'
import { type Played, RecordingReader } from '../../cli/recording/reader.js'
import { sendSignal } from '../../lib/send-signal.js'
import { millrace, millraceBy, startMillrace } from '../helpers/cli.js'
import { type TestDirectory, testDirectory } from '../helpers/directory.js'
import { until } from '../process/children.js'

const onLinux = process.platform === 'linux' ? test : test.skip

/** The tool in a directory, with a file in it. */
function tool({ path }: TestDirectory) {
  const file = join(path, 'file.mcap')
  return {
    file,
    run: (...args: string[]) => millrace(...args, '--directory', path),
    start: (...args: string[]) => startMillrace(...args, '--directory', path),
  }
}

/** What a recording has. */
async function contentOf(file: string): Promise<{ messages: string[]; missed: number | null; cut: string | null }> {
  const reader = new RecordingReader(file)
  const messages: string[] = []
  for await (const { bytes } of reader.messages()) messages.push(Buffer.from(bytes).toString())
  return { messages, ...reader.is }
}

function texts(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `message ${i}`)
}

/** Everything in `queue`. */
function drained(queue: PortQueue): string[] {
  const got: string[] = []
  for (let message = queue.tryReceive(); message !== null; message = queue.tryReceive()) {
    got.push(message.text())
    message.release()
  }
  return got
}

test('a queue is recorded and replayed: bytes, and all that a message says beside them', async (t) => {
  const directory = testDirectory(t)
  const { file, run } = tool(directory)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 8 })
  queue.tryPut(new Uint8Array())
  queue.tryPut(Buffer.from('bytes'))
  const full = shm.allocate(300)
  full.bytes.fill(7)
  const header = {
    sequence: 2n ** 60n,
    source: 5,
    tag: 2n ** 63n + 1n,
    typeId: 9,
    timestamp: 2n ** 62n,
    timestampKind: 'absolute',
  } as const
  Object.assign(full, header)
  queue.trySend(full)
  const recorded = await run('record', 'domain/queue', file, '--take', '--count', '3', '--json')
  t.deepEqual(JSON.parse(recorded.stdout), {
    domain: 'domain',
    name: 'queue',
    file,
    recorded: 3,
    missed: 0,
    complete: true,
  })
  t.is(recorded.code, 0)
  t.is(queue.depth, 0)
  const replayed = await run('replay', file, 'domain/queue')
  t.deepEqual([replayed.code, replayed.stdout], [0, `${file}: 3 messages sent\n`], replayed.stderr)
  t.deepEqual([queue.tryGet(), queue.tryGet()], [new Uint8Array(), new Uint8Array(Buffer.from('bytes'))])
  using last = queue.tryReceive()!
  const { sequence, source, tag, typeId, timestamp, timestampKind } = last
  t.deepEqual({ sequence, source, tag, typeId, timestamp, timestampKind }, header)
  t.deepEqual(last.copy(), new Uint8Array(300).fill(7))
  t.is(shm.registry.snapshot().participants.length, 1, 'nobody is left behind')
})

test('a topic is recorded until Ctrl-C, and replayed to its subscribers, values of a codec too', async (t) => {
  const directory = testDirectory(t)
  const { file, run, start } = tool(directory)
  const shm = directory.open('domain')
  const topic = shm.topic<object>('topic', { codec: 'json' })
  const recording = start('record', 'domain/topic', file)
  await until(() => shm.registry.snapshot().topics[0]!.subscriptions.length === 1)
  for (let i = 0; i < 100; i++) await topic.put({ i })
  sendSignal(recording.process, 'SIGINT')
  t.like(await recording.ended, { code: 0, stdout: `${file}: 100 messages\n`, stderr: '' })
  const subscription = topic.subscribe()
  t.is((await run('replay', file, 'domain/topic', '--speed', 'Infinity')).code, 0)
  for (let i = 0; i < 100; i++) t.deepEqual(subscription.tryGet(), { i })
  t.is(subscription.tryGet(), undefined)
})

test('what a recorder could not follow is counted: a topic', async (t) => {
  const directory = testDirectory(t)
  const { file, run, start } = tool(directory)
  const shm = directory.open('domain')
  const topic = shm.topic('topic', {})
  const recording = start('record', 'domain/topic', file, '--json')
  await until(() => shm.registry.snapshot().topics[0]!.subscriptions.length === 1)
  sendSignal(recording.process, 'SIGSTOP')
  const published = 10_000
  for (let i = 0; i < published; i++) await topic.put(Buffer.from(`${i}`))
  sendSignal(recording.process, 'SIGINT')
  sendSignal(recording.process, 'SIGCONT')
  const { code, stdout } = await recording.ended
  const { recorded, missed, complete } = JSON.parse(stdout) as { recorded: number; missed: number; complete: boolean }
  t.deepEqual([code, complete, recorded + missed], [3, false, published])
  t.true(missed > 0 && recorded > 0)
  const content = await contentOf(file)
  t.deepEqual([content.messages.length, content.missed, content.cut], [recorded, missed, null])
  topic.subscribe({ overflow: 'latest', capacity: 1 })
  const replayed = await run('replay', file, 'domain/topic', '--speed', 'Infinity')
  t.deepEqual(
    [replayed.code, replayed.stdout],
    [3, `${file}: ${recorded} messages sent, INCOMPLETE: ${missed} were not recorded\n`],
  )
})

test('what was missed is counted, too, when --count ends it', async (t) => {
  const directory = testDirectory(t)
  const { file, start } = tool(directory)
  const shm = directory.open('domain')
  const topic = shm.topic('topic', {})
  const recording = start('record', 'domain/topic', file, '--json', '--count', '1')
  const subscribed = () => shm.registry.snapshot().topics[0]!.subscriptions
  await until(() => subscribed().length === 1)
  sendSignal(recording.process, 'SIGSTOP')
  for (let i = 0; i < 5000; i++) await topic.put(Buffer.from(`${i}`))
  sendSignal(recording.process, 'SIGCONT')
  t.like(JSON.parse((await recording.ended).stdout), { recorded: 1, missed: 5000 - 4096 })
})

test('with --block nothing is missed, however slow the recorder is', async (t) => {
  const directory = testDirectory(t)
  const { file, start } = tool(directory)
  const shm = directory.open('domain')
  const topic = shm.topic('topic', {})
  const recording = start('record', 'domain/topic', file, '--block', '--count', '10000')
  await until(() => shm.registry.snapshot().topics[0]!.subscriptions.length === 1)
  sendSignal(recording.process, 'SIGSTOP')
  const publishing = (async () => {
    for (const text of texts(10_000)) await topic.put(Buffer.from(text))
  })()
  await until(() => shm.registry.snapshot().topics[0]!.subscriptions[0]!.sendWaits > 0)
  sendSignal(recording.process, 'SIGCONT')
  await publishing
  t.is((await recording.ended).code, 0)
  t.deepEqual(await contentOf(file), { messages: texts(10_000), missed: 0, cut: null })
})

test('of a queue whose messages stay in it, what was not seen is counted', async (t) => {
  const directory = testDirectory(t)
  const { file, start } = tool(directory)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 64 })
  const recording = start('record', 'domain/queue', file, '--json')
  queue.tryPut(Buffer.from('first'))
  await until(() => statSync(file, { throwIfNoEntry: false }) !== undefined && readFileSync(file).includes('first'))
  for (const text of texts(50)) queue.tryPut(Buffer.from(text))
  t.is(drained(queue).length, 51)
  sendSignal(recording.process, 'SIGINT')
  const { code, stdout } = await recording.ended
  const { recorded, missed } = JSON.parse(stdout) as { recorded: number; missed: number }
  t.deepEqual([code, recorded + missed], [3, 51])
  t.true(recorded >= 1)
})

test('a file that ends anywhere is replayed up to there, and said to be cut off', async (t) => {
  const directory = testDirectory(t)
  const { file, run, start } = tool(directory)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 64 })
  const recording = start('record', 'domain/queue', file, '--take')
  for (const text of texts(20)) queue.tryPut(Buffer.from(text))
  await until(
    () => statSync(file, { throwIfNoEntry: false }) !== undefined && readFileSync(file).includes('message 19'),
  )
  sendSignal(recording.process, 'SIGKILL')
  t.is((await recording.ended).signal, 'SIGKILL')
  t.deepEqual(await contentOf(file), { messages: texts(20), missed: null, cut: 'it is cut off' })
  const whole = readFileSync(file)
  for (const size of [whole.length - 1, whole.indexOf('message 7') + 3, whole.indexOf('message 7') - 1]) {
    truncateSync(file, size)
    const here = size === whole.length - 1 ? 19 : 7
    const replayed = await run('replay', file, 'domain/queue')
    t.deepEqual(
      [replayed.code, replayed.stdout],
      [3, `${file}: ${here} messages sent, INCOMPLETE: it is cut off behind them\n`],
    )
    t.deepEqual(drained(queue), texts(here))
  }
  const damaged = Buffer.from(whole)
  damaged.fill(0xff, whole.indexOf('message 9') - 30)
  writeFileSync(file, damaged)
  const { code, stdout } = await run('replay', file, 'domain/queue', '--json')
  const told = JSON.parse(stdout) as { sent: number; cut: string; complete: boolean }
  t.is(code, 3)
  t.false(told.complete)
  t.is(drained(queue).length, told.sent)
})

onLinux('what cannot be written goes back to an at-least-once queue, and is told', async (t) => {
  const directory = testDirectory(t)
  const { file, run } = tool(directory)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 16, delivery: 'at-least-once' })
  const long = Array.from({ length: 10 }, (_, i) => `${i}`.padEnd(1000, '.'))
  for (const text of long) queue.tryPut(Buffer.from(text))
  // So large may files become.
  const limited = ['bash', '-c', 'ulimit -f 4; exec "$0" "$@"']
  const { code, stderr } = await millraceBy(
    limited,
    'record',
    'domain/queue',
    file,
    '--take',
    '--directory',
    directory.path,
  )
  t.is(code, 2)
  t.regex(stderr, /^ERR_MILLRACE_IO: cannot write ".*file\.mcap", which has 3 messages: EFBIG/)
  t.is(queue.depth, 7)
  const replayed = await run('replay', file, 'domain/queue')
  t.deepEqual(
    [replayed.code, replayed.stdout],
    [3, `${file}: 3 messages sent, INCOMPLETE: it is cut off behind them\n`],
  )
  t.deepEqual(drained(queue).toSorted(), long)
})

test('pauses are kept, or shortened by --speed', async (t) => {
  const directory = testDirectory(t)
  const { file, run, start } = tool(directory)
  const queue = directory.open('domain').portQueue('queue', { capacity: 8 })
  const recording = start('record', 'domain/queue', file, '--take', '--count', '3')
  for (const text of texts(3)) {
    queue.tryPut(Buffer.from(text))
    await until(() => queue.depth === 0)
    await setTimeout(400)
  }
  t.is((await recording.ended).code, 0)
  const times: bigint[] = []
  for await (const { at } of new RecordingReader(file).messages() as AsyncIterable<Played>) times.push(at)
  const took = Number(times[2]! - times[0]!) / 1e6
  t.true(took >= 800)
  for (const speed of [1, 4]) {
    const arrivals: number[] = []
    const replayed = run('replay', file, 'domain/queue', '--speed', `${speed}`)
    for (let i = 0; i < 3; i++) {
      ;(await queue.receive()).release()
      arrivals.push(performance.now())
    }
    t.is((await replayed).code, 0)
    // The first may be seen late, never the last one early.
    t.true(arrivals[2]! - arrivals[0]! >= took / speed / 2, `${arrivals[2]! - arrivals[0]!} ms at speed ${speed}`)
  }
})

test('what cannot be recorded or replayed', async (t) => {
  const directory = testDirectory(t)
  const { file, run } = tool(directory)
  const shm = directory.open('domain')
  const queue = shm.portQueue('queue', { capacity: 2 })
  shm.portQueue('values', { capacity: 2, codec: 'json' })
  shm.topic('topic', {})
  queue.tryPut(Buffer.from('one'))
  const says = async (pattern: RegExp, ...args: string[]) => {
    const { code, stderr } = await run(...args)
    t.is(code, 2)
    t.regex(stderr, pattern)
  }
  await says(/^--take is not for a topic$/m, 'record', 'domain/topic', file, '--take')
  await says(/^--block is not for a queue$/m, 'record', 'domain/queue', file, '--block')
  await says(/has no queue or topic "nothing"/, 'record', 'domain/nothing', file)
  t.is((await run('record', 'domain/queue', file, '--take', '--count', '1')).code, 0)
  await says(/^cannot make ".*file.mcap": EEXIST/m, 'record', 'domain/queue', file)
  await says(/^the recording has codec bytes, domain\/values has json$/m, 'replay', file, 'domain/values')
  await says(/^--speed must be a number above 0, not "0"$/m, 'replay', file, 'domain/queue', '--speed', '0')
  await says(/^cannot read ".*nothing": ENOENT/m, 'replay', join(directory.path, 'nothing'), 'domain/queue')
  writeFileSync(file, 'This is no recording, but it is long enough to be one.')
  await says(/^cannot read ".*file.mcap": /m, 'replay', file, 'domain/queue')
  writeFileSync(file, '')
  await says(/^".*file.mcap" is no recording of millrace record$/m, 'replay', file, 'domain/queue')
})
