import { Table, tableFromArrays, tableFromIPC } from 'apache-arrow'
import { createRequire } from 'node:module'
import test from 'ava'
import * as arrow from '../arrow.js'
import { arrowCodec, tableOf, writeTable } from '../arrow.js'
import { memoryOf, rowsOf, ticks } from './helpers/arrow.js'
import { buffersInUse, openDomain, openQueue, testDomain } from './helpers/domain.js'
import { testMapped } from './helpers/mapped.js'
import { rejectsCode, throwsCode } from './helpers/errors.js'

test('a table is written once and read in place', (t) => {
  const shm = openDomain(t)
  const table = ticks(1000)
  const queue = shm.portQueue('ticks', { capacity: 2 })
  t.true(queue.trySend(writeTable(shm, table)))
  {
    using message = queue.tryReceive()!
    const view = tableOf(message)
    t.is(rowsOf(view), rowsOf(table))
    const memory = memoryOf(view)
    t.true(memory.length >= 8)
    const { buffer, byteOffset, byteLength } = message.bytes
    for (const part of memory) {
      t.is(part.buffer, buffer)
      t.true(part.byteOffset >= byteOffset && part.byteOffset + part.byteLength <= byteOffset + byteLength)
      t.is(part.byteOffset % 8, 0)
    }
    // Shared memory, not a copy: what is written there is what the column shows.
    const price = view.getChild('price')!
    const bytes = Buffer.from(buffer, byteOffset, byteLength)
    bytes.writeDoubleLE(-1, memory.find((part) => part instanceof Float64Array)!.byteOffset - byteOffset + 8)
    t.is(price.get(1), -1)
  }
  t.is(buffersInUse(shm), 0)
})

test('codec arrow: put writes in place, get returns a copy', async (t) => {
  const { shm, queue } = openQueue(t, { codec: arrowCodec })
  t.is(queue.info?.codec, 'arrow')
  const whole = ticks(17)
  const halves = new Table([...whole.slice(0, 10).batches, ...whole.slice(10).batches])
  const tables = [ticks(0), ticks(1), ticks(5000), halves, ticks(100).slice(13, 57)]
  for (const table of tables) {
    await queue.put(table)
    const got = await queue.get()
    t.is(rowsOf(got), rowsOf(table))
    for (const buffer of shm.allocateMany(1000, 100)) {
      buffer.bytes.fill(255)
      buffer.release()
    }
    t.is(rowsOf(got), rowsOf(table))
  }
  t.is(buffersInUse(shm), 0)
})

test('a record batch, and what others make of the bytes', (t) => {
  const shm = openDomain(t)
  const table = ticks(20)
  using buffer = writeTable(shm, table.batches[0]!)
  t.is(rowsOf(tableFromIPC(buffer.copy())), rowsOf(table))
})

testMapped('guard mode: a table ends with its message', (t) => {
  const shm = testDomain(t).open({ guard: true })
  const buffer = writeTable(shm, tableFromArrays({ x: new Float32Array([1, 2]) }))
  const view = tableOf(buffer)
  t.is(view.getChild('x')!.get(1), 2)
  buffer.release()
  t.true(memoryOf(view).length === 0)
  throwsCode(t, () => tableOf(buffer), 'ERR_MILLRACE_RELEASED')
})

test('the CommonJS entry works with the same messages', (t) => {
  const shm = openDomain(t)
  const entry = createRequire(import.meta.url)('../arrow.cjs') as typeof arrow
  using buffer = arrow.writeTable(shm, ticks(10))
  t.is(rowsOf(entry.tableOf(buffer)), rowsOf(ticks(10)))
})

test('what another copy of apache-arrow made is refused, and so is what is no table', async (t) => {
  const other = createRequire(import.meta.url)('apache-arrow') as { tableFromArrays: typeof tableFromArrays }
  const { shm, queue } = openQueue(t, { codec: arrowCodec })
  const foreign = other.tableFromArrays({ i: Int32Array.of(1, 2, 3) })
  for (const [value, rule] of [
    [foreign, 'apache-arrow'],
    [foreign.batches[0], 'apache-arrow'],
    ...[{}, null, 'text', new Uint8Array(8)].map((none) => [none, 'tableFromArrays()'] as const),
  ] as const) {
    await rejectsCode(t, queue.put(value as Table), 'ERR_MILLRACE_INVALID_ARGUMENT', rule)
    throwsCode(t, () => writeTable(shm, value as Table), 'ERR_MILLRACE_INVALID_ARGUMENT', rule)
  }
  t.is(buffersInUse(shm), 0)
  const mixed = new Table([ticks(1).batches[0]!])
  mixed.batches.push(foreign.batches[0] as never)
  throwsCode(t, () => writeTable(shm, mixed), 'ERR_MILLRACE_INVALID_ARGUMENT')
})
