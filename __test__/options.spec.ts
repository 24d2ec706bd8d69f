import test from 'ava'
import { type OpenOptions, type QueueOptions, ShmManager } from '../index.js'
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
  const [a, b] = [domain.open(), domain.open()]
  a.portQueue('queue', { capacity: 64, overflow: 'latest', codec: 'json' })
  throwsCode(t, () => b.portQueue('queue', { capacity: 128 }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'queue', '64', '128')
  throwsCode(t, () => b.portQueue('queue', { overflow: 'block' }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'queue')
  throwsCode(t, () => b.portQueue('queue', { codec: 'v8' }), 'ERR_MILLRACE_OPTIONS_MISMATCH', 'json', 'v8')
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
