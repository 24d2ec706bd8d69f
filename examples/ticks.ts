// Market ticks as columns of numbers: one process writes batches of Float64 into shared memory, another adds them up in place.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ShmManager } from 'millrace'

const TICKS = 1_000_000
const BATCH = 4096
/** Time, price, volume. */
const COLUMNS = 3
/** The type says what the messages are; another number would be refused. */
const QUEUE = { capacity: 64, typeId: 0x7469636b }

const [role, domain] = process.argv.slice(2)
if (role === 'exchange') await exchange(domain!)
else await analyse(`example-ticks-${process.pid}`)

/** Ticks that can be checked: whole numbers, so that sums are exact. */
function tick(n: number): [time: number, price: number, volume: number] {
  return [n * 10, 100 + (n % 17), 1 + (n % 5)]
}

async function exchange(name: string): Promise<void> {
  using shm = ShmManager.open(name)
  const queue = shm.portQueue('ticks', QUEUE)
  for (let first = 0; first < TICKS; first += BATCH) {
    const count = Math.min(BATCH, TICKS - first)
    const batch = shm.allocate(count * COLUMNS * Float64Array.BYTES_PER_ELEMENT)
    const numbers = batch.as(Float64Array)
    for (let i = 0; i < count; i++) {
      const [time, price, volume] = tick(first + i)
      numbers[i] = time
      numbers[count + i] = price
      numbers[2 * count + i] = volume
    }
    batch.sequence = BigInt(first)
    // Waits while the reader is 64 batches behind.
    await queue.send(batch)
  }
  queue.close()
}

async function analyse(name: string): Promise<void> {
  using shm = ShmManager.open(name)
  const child = fork(fileURLToPath(import.meta.url), ['exchange', name])
  const ended = once(child, 'exit')
  let ticks = 0
  let batches = 0
  let turnover = 0
  let volume = 0
  const start = performance.now()
  for await (const batch of shm.portQueue('ticks', QUEUE)) {
    assert.equal(batch.sequence, BigInt(ticks))
    const numbers = batch.as(Float64Array)
    const count = numbers.length / COLUMNS
    assert.equal(numbers[0], tick(ticks)[0])
    const prices = numbers.subarray(count, 2 * count)
    const volumes = numbers.subarray(2 * count)
    for (let i = 0; i < count; i++) {
      turnover += prices[i]! * volumes[i]!
      volume += volumes[i]!
    }
    ticks += count
    batches++
  }
  const ms = performance.now() - start
  let expectedTurnover = 0
  let expectedVolume = 0
  for (let n = 0; n < TICKS; n++) {
    const [, price, volumeOfOne] = tick(n)
    expectedTurnover += price * volumeOfOne
    expectedVolume += volumeOfOne
  }
  assert.deepEqual([ticks, turnover, volume], [TICKS, expectedTurnover, expectedVolume])
  assert.deepEqual(await ended, [0, null])
  const average = (turnover / volume).toFixed(6)
  console.log(`${ticks} ticks in ${batches} batches, ${ms.toFixed(0)} ms, start of the process included`)
  console.log(`volume ${volume}, average price by volume ${average}: as computed here`)
}
