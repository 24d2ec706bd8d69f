// A flow of blocks of JavaScript and native ones: lines that a generator makes are measured, checked by native blocks on threads of their own,
// and summed up; a few of them are bad, and go to the dead letters.
import assert from 'node:assert/strict'
import { ShmManager } from 'millrace'
import { bytes, flow, map, sink, source, Throttle, type } from 'millrace/flow'

interface Reading {
  sensor: string
  celsius: number
}

const LINES = 5000
/** Every so many is damaged. */
const BAD = 100

const line = type<string>('json', { name: 'line' })
const reading = type<Reading>('msgpack', { name: 'reading' })

using shm = ShmManager.open(`example-flow-js-${process.pid}`)
const bad = shm.portQueue<string>('bad', { codec: 'json' })
const sums = new Map<string, number>()
let sampled = 0

const f = flow('readings', shm, { threads: 1 })
const lines = f.add(
  source('lines', { out: line }, async function* ({ signal }) {
    for (let i = 0; i < LINES && !signal.aborted; i++) yield i % BAD === 0 ? 'noise' : `sensor${i % 3} ${i % 40}`
  }),
)
const parse = f.add(
  map('parse', line, reading, (text) => {
    const [, sensor, celsius] = /^(\w+) (\d+)$/.exec(text) ?? []
    if (sensor === undefined) throw new Error(`no reading: ${text}`)
    return { sensor, celsius: Number(celsius) }
  }),
  { onError: { deadLetters: bad } },
)
const sum = f.add(
  sink('sum', reading, (batch) => {
    for (const { sensor, celsius } of batch) sums.set(sensor, (sums.get(sensor) ?? 0) + celsius)
  }),
)
const samples = f.add(map('samples', reading, bytes, ({ celsius }) => new Uint8Array(Float32Array.of(celsius).buffer)))
const throttle = f.add(new Throttle({ rate: 100_000 })) // native
const count = f.add(sink('count', bytes, (batch) => void (sampled += batch.length)))

f.link(lines.out, parse.in, { capacity: 256, delivery: 'at-least-once' })
f.link(parse.out, sum.in)
f.link(parse.out, samples.in) // each of the two gets everything
f.link(samples.out, throttle.in).link(throttle.out, count.in)
await using run = await f.start()
const { blocks } = await run.done

assert.deepEqual([...sums.keys()].toSorted(), ['sensor0', 'sensor1', 'sensor2'])
assert.equal(sampled, LINES - LINES / BAD)
assert.deepEqual(
  bad.getMany(LINES),
  Array.from({ length: LINES / BAD }, () => 'noise'),
)
const used = shm.stats().pools.reduce((all, pool) => all + pool.used - pool.rings, 0)
assert.equal(used, 0, 'every buffer is back in its pool')
console.log(blocks.map(({ name, items }) => `${name} ${items}`).join(', '))
