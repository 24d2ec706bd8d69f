// Arrow tables from one process to another: written once into shared memory, computed upon where they lie.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { tableFromArrays, type TypeMap } from 'apache-arrow'
import { ShmManager } from 'millrace'
import { tableOf, writeTable } from 'millrace/arrow'

const TABLES = 50
const ROWS = 20_000
const VENUES = ['Zurich', 'Paris', null]

const [role, domain] = process.argv.slice(2)
if (role === 'writer') await write(domain!)
else await read(`example-arrow-${process.pid}`)

/** Rows that can be checked: whole numbers, so that sums are exact. */
function priceOf(row: number): number {
  return 100 + (row % 17)
}

function venueOf(row: number): string | null {
  return VENUES[row % VENUES.length]!
}

async function write(name: string): Promise<void> {
  process.once('disconnect', () => process.exit())
  using shm = ShmManager.open(name)
  const queue = shm.portQueue('tables', { capacity: 4 })
  for (let first = 0; first < TABLES * ROWS; first += ROWS) {
    const rows = Array.from({ length: ROWS }, (_, i) => first + i)
    const table = tableFromArrays({
      row: Int32Array.from(rows),
      price: Float64Array.from(rows, priceOf),
      venue: rows.map(venueOf),
    })
    // Waits while the reader is four tables behind.
    await queue.send(writeTable(shm, table))
  }
  queue.close()
  process.disconnect()
}

async function read(name: string): Promise<void> {
  using shm = ShmManager.open(name)
  const child = fork(fileURLToPath(import.meta.url), ['writer', name])
  const ended = once(child, 'exit')
  let rows = 0
  let turnover = 0
  let bytes = 0
  const start = performance.now()
  for await (const message of shm.portQueue('tables', { capacity: 4 })) {
    const table = tableOf<TypeMap>(message)
    const prices = table.getChild('price')!.toArray() as Float64Array
    // No copy: the column lies in the message, and ends with it.
    assert.equal(prices.buffer, message.bytes.buffer)
    for (const price of prices) turnover += price
    for (const i of [0, 1, 2, ROWS - 1]) {
      const { row, price, venue } = table.get(i)!.toJSON()
      assert.deepEqual([row, price, venue], [rows + i, priceOf(rows + i), venueOf(rows + i)])
    }
    rows += table.numRows
    bytes += message.length
  }
  const ms = performance.now() - start
  let expected = 0
  for (let row = 0; row < TABLES * ROWS; row++) expected += priceOf(row)
  assert.deepEqual([rows, turnover], [TABLES * ROWS, expected])
  assert.deepEqual(await ended, [0, null])
  console.log(`${TABLES} tables, ${rows} rows, ${(bytes / 1e6).toFixed(0)} MB in ${ms.toFixed(0)} ms, start included`)
  console.log(`sum of the prices ${turnover}: as computed here`)
}
