import test from 'ava'
import {
  fromFile,
  fromSocket,
  migrate,
  type OpenOptions,
  type QueueOptions,
  readInto,
  SageQueue,
  SageQueueManager,
  ShmManager,
  ShmObserver,
} from '../index.js'
import { openDomain, testDomain } from './helpers/domain.js'
import { rejectsCode, throwsCode } from './helpers/errors.js'

const BAD_NAMES = ['', '.', '..', '../x', 'a/b', '/a', '-a', '_a', 'a b', 'ä', 'a\0', 'x'.repeat(64), 7, undefined]

test('names of domains', (t) => {
  for (const name of BAD_NAMES)
    throwsCode(t, () => ShmManager.open(name as never), 'ERR_MILLRACE_INVALID_NAME', 'domain')
})

test('names of queues', (t) => {
  const shm = openDomain(t)
  for (const name of BAD_NAMES) throwsCode(t, () => shm.portQueue(name as never), 'ERR_MILLRACE_INVALID_NAME', 'queue')
  for (const name of ['a', '0', 'a.b_c-D', 'x'.repeat(63)]) t.is(shm.portQueue(name).name, name)
})

const BAD_OPEN_OPTIONS: [keyof OpenOptions, unknown[]][] = [
  ['maxBytes', [NaN, 0, -1, 1.5, Infinity, 2 ** 60, '', '12', '1XB', '-1MiB', '0GiB', 'MiB', '999999TiB', true, null]],
  ['persist', [1, 'yes', null]],
  ['name', ['', 'x'.repeat(64), 'ä'.repeat(32), 7, null]],
  ['directory', ['', 'a\0b', 7, null]],
  ['openTimeout', [NaN, -1, 2 ** 31, Infinity, '1', null]],
  ['exhausted', ['', 'never', 0, null]],
  ['guard', [1, 'yes', null]],
]

for (const [option, values] of BAD_OPEN_OPTIONS) {
  test(`open option ${option}`, (t) => {
    for (const value of values) {
      throwsCode(t, () => ShmManager.open('unused', { [option]: value }), 'ERR_MILLRACE_INVALID_ARGUMENT', option)
    }
  })
}

test('open options must be an object', (t) => {
  throwsCode(t, () => ShmManager.open('unused', null as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'options', 'null')
  throwsCode(t, () => ShmManager.open('unused', 7 as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'options', '7')
})

const SIZES: [string, number][] = [
  ['4194304B', 4_194_304],
  ['4096KiB', 4_194_304],
  ['4MiB', 4_194_304],
  ['1.5 GiB', 1_610_612_736],
  ['5MB', 5_000_000],
  ['2000KB', 2_000_000],
  ['1GB', 1_000_000_000],
]

for (const [size, bytes] of SIZES) {
  test(`size ${size}`, (t) => {
    t.is(openDomain(t, { maxBytes: size }).registry.snapshot().maxBytes, bytes)
  })
}

const BAD_QUEUE_OPTIONS: [keyof QueueOptions<Uint8Array>, unknown[]][] = [
  ['capacity', [NaN, 0, -1, 1.5, Infinity, 2 ** 20 + 1, '256', null]],
  ['overflow', ['', 'drop', 0, null]],
  ['delivery', ['', 'exactly-once', 0, null]],
  ['maxDeliveries', [NaN, -1, 1.5, 2 ** 32, '1', null]],
  ['producers', [0, 2, 'one', null]],
  ['consumers', [0, 2, 'one', null]],
  ['typeId', [NaN, -1, 1.5, 2 ** 32, '1', null]],
  ['codec', ['xml', 0, {}, { encode: () => '' }, { encode: () => '', decode: 1 }]],
]

for (const [option, values] of BAD_QUEUE_OPTIONS) {
  test(`queue option ${option}`, (t) => {
    const shm = openDomain(t)
    for (const value of values) {
      const open = () => shm.portQueue('queue', { [option]: value })
      throwsCode(t, open, 'ERR_MILLRACE_INVALID_ARGUMENT', option)
    }
    t.deepEqual(shm.registry.snapshot().queues, [])
  })
}

test('options that differ at attach are an error that names both', (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open({ name: 'web' }), domain.open()]
  const code = 'ERR_MILLRACE_OPTIONS_MISMATCH'
  a.portQueue('queue', { capacity: 64, overflow: 'latest', codec: 'json' })
  const user = `"web" (process ${process.pid}) has it open`
  throwsCode(t, () => b.portQueue('queue', { capacity: 128 }), code, 'queue', '64', '128', user)
  throwsCode(t, () => b.portQueue('queue', { overflow: 'block' }), code, 'queue', user)
  throwsCode(t, () => b.portQueue('queue', { codec: 'v8' }), code, 'json', 'v8')
  throwsCode(t, () => a.portQueue('queue', { capacity: 128 }), code, 'nobody else has it open: destroy it first')
  throwsCode(t, () => domain.open({ maxBytes: '3MiB' }), code, 'maxBytes', `used by process ${process.pid}`)
  t.is(b.portQueue('queue', { capacity: 64 }).info?.overflow, 'latest')
})

test('options of waits', async (t) => {
  const queue = openDomain(t).portQueue('queue', {})
  for (const timeout of [NaN, -1, 2 ** 31, '1', null]) {
    await rejectsCode(t, queue.receive({ timeout: timeout as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'timeout')
    const block = () => queue.receiveSync({ timeout: timeout as never, allowBlocking: true })
    throwsCode(t, block, 'ERR_MILLRACE_INVALID_ARGUMENT', 'timeout')
  }
  await rejectsCode(t, queue.receive({ signal: {} as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'signal')
  await rejectsCode(t, queue.receive(7 as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'options', '7')
})

const wrong = <T>(options: T) => options as never

test('an option that there is not is an error that says which was meant', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('queue', {})
  const topic = shm.topic('topic')
  const service = shm.service('service')
  const sage = { namespace: shm.domain }
  const jobs = new SageQueue('jobs', sage)
  t.teardown(() => jobs.close())
  const calls: [call: () => unknown, message: string][] = [
    [
      () => ShmManager.open('x', wrong({ maxByte: 1 })),
      'ShmManager.open has no option "maxByte": did you mean "maxBytes"?',
    ],
    [() => ShmObserver.open('x', wrong({ dir: '' })), 'ShmObserver.open has no option "dir": there are directory'],
    [() => ShmObserver.list(wrong({ dir: '' })), 'ShmObserver.list has no option "dir": there are directory'],
    [
      () => ShmObserver.remove('x', wrong({ keep: true })),
      'ShmObserver.remove has no option "keep": did you mean "kept"?',
    ],
    [() => shm.fsck(wrong({ timeoutMs: 1 })), 'fsck has no option "timeoutMs": did you mean "timeout"?'],
    [
      () => shm.evict({ slot: 0, epoch: 0 }, wrong({ Timeout: 1 })),
      'evict has no option "Timeout": did you mean "timeout"?',
    ],
    [() => shm.portQueue('a', wrong({ capasity: 5 })), 'queue "a" has no option "capasity": did you mean "capacity"?'],
    [() => shm.topic('a', wrong({ histroy: 5 })), 'topic "a" has no option "histroy": did you mean "history"?'],
    [() => shm.service('a', wrong({ codecs: 'json' })), 'service "a" has no option "codecs": did you mean "codec"?'],
    [
      () => topic.subscribe(wrong({ limit: 5 })),
      'a subscription to topic "topic" has no option "limit": there are name, capacity, overflow, delivery, maxDeliveries',
    ],
    [
      () => queue.send(shm.allocate(1), wrong({ timeOut: 1 })),
      'a wait has no option "timeOut": did you mean "timeout"?',
    ],
    [
      () => queue.put(new Uint8Array(1), wrong({ wait: 1 })),
      'a wait has no option "wait": there are timeout, signal, spin',
    ],
    [() => queue.receive(wrong({ max: 1 })), 'a wait has no option "max": there are timeout, signal, spin'],
    [() => queue.get(wrong({ sinal: 1 })), 'a wait has no option "sinal": did you mean "signal"?'],
    [
      () => queue.receiveSync(wrong({ alowBlocking: true })),
      'a blocking wait has no option "alowBlocking": did you mean "allowBlocking"?',
    ],
    [() => queue.batches(wrong({ maxx: 1 })), 'batches has no option "maxx": did you mean "max"?'],
    [() => queue.consume(() => {}, wrong({ timeout: 1 })), 'consume has no option "timeout": there are signal'],
    [() => queue.values(wrong({ max: 1 })), 'a wait has no option "max": there are timeout, signal, spin'],
    [
      () => queue.readable(wrong({ highWatermarks: 1 })),
      'a stream has no option "highWatermarks": did you mean "highWaterMark"?',
    ],
    [() => queue.writable(wrong({ closed: 1 })), 'a stream has no option "closed": did you mean "close"?'],
    [() => queue.toWeb(wrong({ byte: 1 })).readable, 'a stream has no option "byte": did you mean "bytes"?'],
    [() => queue.putFrom([], wrong({ closes: 1 })), 'putFrom has no option "closes": did you mean "close"?'],
    [() => shm.allocateAsync(1, wrong({ timeuot: 1 })), 'a wait has no option "timeuot": did you mean "timeout"?'],
    [
      () => service.request(new Uint8Array(1), wrong({ retries: 1 })),
      'request has no option "retries": there are timeout, signal, spin, retry',
    ],
    [
      () => service.stream(new Uint8Array(1), wrong({ windows: 1 })),
      'stream has no option "windows": did you mean "window"?',
    ],
    [
      () => service.serve((request) => request, wrong({ concurency: 1 })),
      'serve has no option "concurency": did you mean "concurrency"?',
    ],
    [() => fromFile(shm, 'x', wrong({ prefetchs: 1 })), 'fromFile has no option "prefetchs": did you mean "prefetch"?'],
    [() => fromSocket(shm, { port: 1 }, wrong({ byte: 1 })), 'fromSocket has no option "byte": did you mean "bytes"?'],
    [
      () => readInto(wrong({}), shm.allocate(1), wrong({ pos: 1 })),
      'readInto has no option "pos": there are position, bytes',
    ],
    [() => migrate(queue, shm, queue, wrong({ folow: true })), 'migrate has no option "folow": did you mean "follow"?'],
    [() => new SageQueue('a', wrong({ maxSiz: 1 })), 'SageQueue "a" has no option "maxSiz": did you mean "maxsize"?'],
    [() => jobs.get(wrong({ timeot: 1 })), 'a wait has no option "timeot": did you mean "timeout"?'],
    [
      () => SageQueueManager.list(wrong({ namespaces: '' })),
      'list has no option "namespaces": did you mean "namespace"?',
    ],
    [
      () => SageQueueManager.destroy('a', wrong({ domains: '' })),
      'destroy has no option "domains": did you mean "domain"?',
    ],
    [() => SageQueueManager.cleanup(wrong({ al: true })), 'cleanup has no option "al": did you mean "all"?'],
  ]
  for (const [call, message] of calls) {
    await t.throwsAsync(async () => await call(), { code: 'ERR_MILLRACE_INVALID_ARGUMENT', message })
  }
})

test('what options inherit is looked at, and may have other names, too', async (t) => {
  const shm = openDomain(t)
  t.is(shm.portQueue('a', Object.create({ capacity: 4 }) as QueueOptions<Uint8Array>).info?.capacity, 4)
  throwsCode(t, () => shm.portQueue('b', wrong({ toString: 4 })), 'ERR_MILLRACE_INVALID_ARGUMENT', 'toString')
  const controller = new AbortController()
  const waiting = shm.portQueue('a').receive(controller)
  controller.abort(new RangeError('enough'))
  await t.throwsAsync(waiting, { instanceOf: RangeError })
})
