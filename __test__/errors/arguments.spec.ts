// What is handed over, and should not be: each text says what it is, and what to do instead.
import { createRequire } from 'node:module'
import test from 'ava'
import { tableFromArrays } from 'apache-arrow'
import { arrowCodec, tableOf, writeTable } from '../../arrow.js'
import type * as Millrace from '../../index.js'
import { fromSocket, SageQueue, ShmManager } from '../../index.js'
import { buffersInUse, openDomain, openQueue, testDomain } from '../helpers/domain.js'

const INVALID = 'ERR_MILLRACE_INVALID_ARGUMENT'

test('sizes are read in any case; what is none is told the units', (t) => {
  for (const maxBytes of ['8mib', '8MIB', '8 MiB']) {
    t.is(openDomain(t, { maxBytes }).registry.snapshot().maxBytes, 8 * 2 ** 20)
  }
  t.is(openDomain(t, { maxBytes: '8mb' }).registry.snapshot().maxBytes, 8e6)
  t.throws(() => ShmManager.open('unused', { maxBytes: '8 megs' }), {
    code: INVALID,
    message:
      /^maxBytes must be a number .* or text such as "512MiB" \(B, KB, MB, GB, KiB, MiB, GiB or TiB\), not "8 megs"$/,
  })
})

test('bytes that are sent as if they were a buffer', async (t) => {
  const { queue } = openQueue(t)
  const message =
    'a buffer to send must be a BufferPtr: use put() to copy bytes in, or allocate(n) and its bytes.set() to send them, ' +
    'not an object of class Buffer'
  await t.throwsAsync(queue.send(Buffer.from('x') as never), { code: INVALID, message })
  await t.throwsAsync(queue.send({} as never), {
    code: INVALID,
    message: 'a buffer to send must be a BufferPtr, not an object of class Object',
  })
})

test('a BufferPtr of another copy of the package', (t) => {
  const domain = testDomain(t)
  const queue = domain.open().portQueue('queue', {})
  const copy = createRequire(import.meta.url)('millrace') as typeof Millrace
  using other = copy.ShmManager.open(domain.name)
  using buffer = other.allocate(8)
  t.throws(() => queue.trySend(buffer), {
    code: 'ERR_MILLRACE_FOREIGN_BUFFER',
    message:
      'a buffer to send is a BufferPtr of another copy of millrace in this process: load the package once (all by import, or all by ' +
      'require), or send it by a queue of the manager that it came from',
  })
})

test('a BufferPtr is neither cloned nor written as JSON', async (t) => {
  const { shm, queue } = openQueue<unknown>(t, { codec: 'v8' })
  using buffer = shm.allocate(8)
  const { port1, port2 } = new MessageChannel()
  const text = 'a BufferPtr: send it through a queue, or post its copy()'
  for (const clone of [() => port1.postMessage({ buffer }), () => structuredClone(buffer)]) {
    // Of the runtime's own realm, in some versions.
    const error = t.throws(clone, { any: true }) as Error
    t.is(`${error.name}: ${error.message}`, `DataCloneError: Symbol(${text}) could not be cloned.`)
  }
  port1.close()
  port2.close()
  t.throws(() => JSON.stringify({ buffer }), {
    code: INVALID,
    message: 'a BufferPtr cannot be written as JSON: use its text(), json() or copy(), or send it through a queue',
  })
  await t.throwsAsync(queue.put({ in: [buffer] }), {
    code: INVALID,
    message:
      'value.in[0] for codec "v8" must be data: send() passes buffers on, put() copies values, not an object of class BufferPtr',
  })
  t.is(buffersInUse(shm), 1)
})

test('what is no Arrow table is refused, written and read', (t) => {
  const { shm, queue } = openQueue(t)
  for (const [value, shown] of [
    [{}, 'an object of class Object'],
    [null, 'null'],
    [[1], 'an array'],
  ] as const) {
    const message = `what is written by Arrow must be a Table or RecordBatch, such as tableFromArrays() makes, not ${shown}`
    t.throws(() => writeTable(shm, value as never), { code: INVALID, message })
    t.throws(() => arrowCodec.encode(value as never), { code: INVALID, message })
  }
  for (const bytes of [new Uint8Array(5), Buffer.from('hello, this is a text')]) {
    queue.tryPut(bytes)
    using message = queue.tryReceive()!
    t.throws(() => tableOf(message), {
      code: 'ERR_MILLRACE_DECODE',
      message: `a message of ${bytes.length} bytes is no Arrow table: write it by writeTable(), or put() with arrowCodec`,
    })
  }
  using empty = writeTable(shm, tableFromArrays({}))
  t.is(tableOf(empty).numCols, 0)
})

test('a socket that is neither there nor named', (t) => {
  const shm = openDomain(t)
  t.throws(() => fromSocket(shm, {} as never), {
    code: INVALID,
    message:
      'the source of fromSocket must be a socket, or where to connect to: { port } or { path }, not an object of class Object',
  })
  t.is(buffersInUse(shm), 0)
})

test('taskDone() of a copy, of what is finished, and of nothing', async (t) => {
  const namespace = openDomain(t).domain
  const jobs = new SageQueue<{ id: number }>('jobs', { namespace, codec: 'json' })
  t.teardown(() => jobs.destroy())
  const code = 'ERR_MILLRACE_NOT_HELD'
  t.throws(() => jobs.taskDone(), { code, message: 'taskDone(): no value of queue "jobs" is in work at this end' })
  await jobs.put({ id: 1 })
  const job = await jobs.get()
  t.throws(() => jobs.taskDone({ ...job }), {
    code,
    message:
      'taskDone(): an object of class Object was not got from queue "jobs" at this end, or is finished already: ' +
      'pass the very object that get() returned, no copy of it (1 in work)',
  })
  jobs.taskDone(job)
})

test('a domain that is full counts the managers of each process', (t) => {
  const domain = testDomain(t)
  for (let i = 0; i < 128; i++) domain.open()
  t.throws(() => domain.open(), {
    code: 'ERR_MILLRACE_LIMIT',
    message:
      `domain "${domain.name}" has its 128 participants already (managers by process: ${process.pid} × 128): ` +
      'a process needs one manager, which it closes when it is done',
  })
})
