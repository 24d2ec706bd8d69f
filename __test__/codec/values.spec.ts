// What each codec makes of awkward values. The table in docs/guide.md says the same.
import { isDeepStrictEqual } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import type { PortQueue, ValueCodecName } from '../../index.js'
import type { LazyArgs } from '../fixtures/lazy.js'
import { buffersInUse, openQueue, testDomain } from '../helpers/domain.js'
import { randomNumbers } from '../helpers/random.js'
import { startChild } from '../process/children.js'

const CODECS = ['json', 'v8', 'msgpack'] as const satisfies ValueCodecName[]

/** Arrives as it went. */
const SAME = Symbol('same')
/** Is refused. */
const REFUSED = Symbol('refused')

class Point {
  x = 1
}

const cyclic: Record<string, unknown> = { name: 'cycle' }
cyclic['self'] = cyclic
const twin = { x: 1 }

/** A value, and what becomes of it by json, v8, msgpack. */
const TABLE: [what: string, value: () => unknown, json: unknown, v8: unknown, msgpack: unknown][] = [
  ['null', () => null, SAME, SAME, SAME],
  ['undefined', () => undefined, REFUSED, SAME, SAME],
  ['undefined in an object', () => ({ a: undefined, b: 1 }), { b: 1 }, SAME, SAME],
  ['undefined in an array', () => [undefined, 1], [null, 1], SAME, SAME],
  ['a hole in an array', () => sparse(), [null, 1], SAME, [undefined, 1]],
  ['NaN', () => NaN, null, SAME, SAME],
  ['infinity', () => -Infinity, null, SAME, SAME],
  ['minus zero', () => -0, 0, SAME, 0],
  ['a large integer', () => Number.MAX_SAFE_INTEGER, SAME, SAME, SAME],
  ['a small bigint', () => 2n ** 53n + 1n, REFUSED, SAME, SAME],
  ['a large bigint', () => -(2n ** 200n), REFUSED, SAME, SAME],
  ['text', () => 'ä€😀\0', SAME, SAME, SAME],
  ['a lone surrogate', () => '\ud800', SAME, SAME, '\ufffd\ufffd\ufffd'],
  ['a date', () => new Date(1_234), new Date(1_234).toISOString(), SAME, SAME],
  ['an invalid date', () => new Date(NaN), null, SAME, SAME],
  ['a map', () => new Map<unknown, unknown>([[1, { a: 1 }], ['k', new Map()]]), {}, SAME, SAME], // prettier-ignore
  ['a set', () => new Set([1, 'a']), {}, SAME, SAME],
  ['a regular expression', () => /a+/gi, {}, SAME, SAME],
  ['bytes', () => new Uint8Array([1, 2]), { 0: 1, 1: 2 }, SAME, SAME],
  ['floats', () => new Float64Array([1.5, NaN, -0]), { 0: 1.5, 1: null, 2: 0 }, SAME, SAME],
  ['bigints', () => new BigInt64Array([-1n]), REFUSED, SAME, SAME],
  ['an ArrayBuffer', () => new Uint8Array([1, 2, 3]).buffer, {}, SAME, SAME],
  ['an error', () => new TypeError('bad'), {}, SAME, SAME],
  ['a cycle', () => cyclic, REFUSED, SAME, SAME],
  ['one object twice', () => [twin, twin], SAME, SAME, SAME],
  ['an instance of a class', () => new Point(), { x: 1 }, { x: 1 }, { x: 1 }],
  ['an instance with toJSON', () => new URL('http://a.b/c'), 'http://a.b/c', {}, 'http://a.b/c'],
  ['a function', () => () => 1, REFUSED, REFUSED, undefined],
  ['a symbol', () => Symbol('s'), REFUSED, REFUSED, REFUSED],
]

function sparse(): unknown[] {
  const array: unknown[] = []
  array[1] = 1
  return array
}

for (const [index, codec] of CODECS.entries()) {
  test(`${codec}: awkward values`, async (t) => {
    const { shm, queue } = openQueue<unknown>(t, { codec })
    for (const [what, make, ...outcomes] of TABLE) {
      const value = make()
      const outcome = outcomes[index]
      if (outcome === REFUSED) {
        await t.throwsAsync(queue.put(value), undefined, what)
      } else {
        await queue.put(value)
        t.deepEqual(await queue.get(), outcome === SAME ? value : outcome, what)
      }
    }
    t.is(buffersInUse(shm), 0)
  })
}

test('one object twice is one object afterwards by v8 and msgpack', async (t) => {
  for (const [codec, one] of [
    ['json', false],
    ['v8', true],
    ['msgpack', true],
  ] as const) {
    // prettier-ignore
    const { queue } = openQueue<{ x: number }[]>(t, { codec })
    await queue.put([twin, twin])
    const [a, b] = await queue.get()
    t.is(a === b, one, codec)
  }
})

/** A value of a kind that every codec carries, with as many parts as `size` allows. */
function randomPlain(random: (below: number) => number, size: number): unknown {
  const leaves = [null, true, random(2 ** 31), -random(2 ** 20), random(1000) / 8, 'ä'.repeat(random(size + 1)), '']
  const kind = random(size > 1 ? leaves.length + 2 : leaves.length)
  if (kind < leaves.length) return leaves[kind]
  const parts = Array.from({ length: random(8) }, () => randomPlain(random, size >> 1))
  return kind === leaves.length ? parts : Object.fromEntries(parts.map((part, i) => [`k${i}`, part]))
}

/** The same with what only structured clone knows. */
function randomRich(random: (below: number) => number, size: number): unknown {
  const plain = randomPlain(random, size)
  switch (random(7)) {
    case 0:
      return new Map([[random(9), plain], ['rest', randomPlain(random, size)]] as [unknown, unknown][]) // prettier-ignore
    case 1:
      return new Set([random(9), 'x', new Date(random(2 ** 30))])
    case 2:
      return { plain, bytes: new Uint8Array(random(size * 200)).fill(random(256)) }
    case 3:
      return [plain, new Float32Array(random(size * 10)).fill(random(9) / 4), undefined]
    case 4:
      return [BigInt(random(2 ** 31)) ** BigInt(random(9)), plain]
    default:
      return plain
  }
}

async function roundTrips(t: ExecutionContext, queue: PortQueue<unknown>, values: unknown[]): Promise<void> {
  for (const value of values) {
    t.true(queue.tryPut(value))
    t.true(isDeepStrictEqual(queue.tryGet(), value))
  }
  await queue.putMany(values)
  t.true(isDeepStrictEqual(queue.getMany(values.length), values))
}

for (const codec of CODECS) {
  test(`${codec}: random values of all sizes, one by one and together`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.log(`seed ${seed}`)
    const random = randomNumbers(seed)
    const { shm, queue } = openQueue<unknown>(t, { codec })
    const make = codec === 'json' ? randomPlain : randomRich
    await roundTrips(
      t,
      queue,
      Array.from({ length: 300 }, () => make(random, 2 ** random(10))),
    )
    t.is(buffersInUse(shm), 0)
  })
}

test('msgpack: sizes that go up and down are stored right, and small values hold small buffers', async (t) => {
  const { shm, queue } = openQueue(t, { codec: 'msgpack' })
  const sizes = [10, 3000, 5000, 5100, 10, 100_000, 90_000, 1_000_000, 1_000_000, 5, 5, 2100, 4000, 4200, 70_000]
  await roundTrips(t, queue, sizes.map((size, i) => new Uint8Array(size).fill(i))) // prettier-ignore
  t.is(buffersInUse(shm), 0)
  await queue.put(new Uint8Array(1_000_000))
  await queue.put(new Uint8Array(10))
  queue.tryReceive()!.release()
  t.true(queue.tryReceive()!.capacity < 1000)
})

test('msgpack: a large value is packed straight into shared memory, and what comes after it elsewhere', async (t) => {
  const { shm, queue } = openQueue<unknown>(t, { codec: 'msgpack' })
  const large = { bytes: new Uint8Array(100_000).fill(1) }
  await queue.putMany([large])
  await queue.putMany([large])
  const [first, second] = queue.receiveMany(2)
  const before = second!.copy()
  // Whoever packs next must not write into the buffer that was sent.
  await queue.put({ small: true })
  t.true(isDeepStrictEqual(second!.copy(), before))
  t.true(isDeepStrictEqual(first!.copy(), before))
  for (const message of [first!, second!]) message.release()
  t.deepEqual(await queue.get(), { small: true })
  t.is(buffersInUse(shm), 0)
})

class Nested {
  readonly #put: () => void

  constructor(put: () => void) {
    this.#put = put
  }

  toJSON(): string {
    this.#put()
    return 'put'
  }
}

test('msgpack: a toJSON that puts something itself', async (t) => {
  const { shm, queue } = openQueue<unknown>(t, { codec: 'msgpack', capacity: 64 })
  const bytes = new Uint8Array(50_000).fill(3)
  await queue.put(bytes)
  await queue.put(bytes)
  const inner = { bytes }
  const outer = {
    before: bytes,
    inner: new Nested(() => queue.tryPut(inner)),
    after: bytes,
  }
  for (let i = 0; i < 3; i++) await queue.put(outer)
  const values = queue.getMany(64)
  t.deepEqual(values.slice(0, 2), [bytes, bytes])
  for (const value of values.slice(2)) {
    const wanted = 'inner' in (value as object) ? { before: bytes, inner: 'put', after: bytes } : inner
    t.true(isDeepStrictEqual(value, wanted))
  }
  t.is(buffersInUse(shm), 0)
})

const big = (i: number) => new Uint8Array(1_000_000).fill(i)

test('msgpack: an exhausted pool with values larger than expected', async (t) => {
  const { shm, queue } = openQueue(t, { codec: 'msgpack', capacity: 64 }, { maxBytes: '8MiB' })
  await queue.put(new Uint8Array(5000))
  const put = queue.putMany(Array.from({ length: 20 }, (_, i) => big(i)))
  t.is((await queue.get()).length, 5000)
  for (let i = 0; i < 20; i++) t.true(isDeepStrictEqual(await queue.get(), big(i)))
  await put
  t.is(buffersInUse(shm), 0)
})

for (const entry of ['js', 'cjs'] as const) {
  test(`msgpack is loaded when the first value goes by it (${entry})`, async (t) => {
    const domain = testDomain(t)
    const child = startChild(t, 'lazy', { domain: domain.name, entry } satisfies LazyArgs)
    t.deepEqual(await child.hear(), [false, false, true])
    await child.done()
  })
}
