import { execFileSync } from 'node:child_process'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { deserialize, serialize } from '../../lib/codec/structured.js'
import { openQueue } from '../helpers/domain.js'

/** Values with errors in every place, each a new one. */
function values() {
  const inner = new TypeError('inner', { cause: { code: 5 } })
  const outer = new RangeError('outer', { cause: inner })
  const twice = new Error('twice', { cause: outer })
  return { outer, list: [new Error('plain'), twice], map: new Map([[inner, new Set([outer])]]), big: 'r'.repeat(100) }
}

test('errors keep their causes, and what is the same stays the same', (t) => {
  const value = values()
  const before = Object.getOwnPropertyDescriptors(value.outer)
  const bytes = serialize(value)
  t.deepEqual(Object.getOwnPropertyDescriptors(value.outer), before)
  const got = deserialize(bytes) as typeof value
  t.true(got.outer instanceof RangeError && got.outer.cause instanceof TypeError)
  t.deepEqual((got.outer.cause as Error).cause, { code: 5 })
  t.is(got.list[1]!.cause, got.outer)
  t.deepEqual([...got.map], [[got.outer.cause as TypeError, new Set([got.outer])]])
  t.is(got.outer.stack, value.outer.stack)
  t.false(Object.keys(got.outer).includes('cause'))
  t.false('cause' in got.list[0]!)
})

test('by a queue, with causes that are no errors, and where only a getter has one', async (t) => {
  const { queue } = openQueue<unknown>(t, { codec: 'v8' })
  for (const cause of [undefined, null, 0, 'text', new Uint8Array([1, 2])]) {
    await queue.put(new Error('x', { cause }))
    t.deepEqual(((await queue.get()) as Error).cause, cause)
  }
  await queue.put({
    get error() {
      return new Error('new each time')
    },
  })
  t.is(((await queue.get()) as { error: Error }).error.message, 'new each time')
})

/** `{ a: 1 }` and a Buffer, as V8 writes them, and as Bun does. */
const OF_V8 = ['ff0f6f22016149027b01', 'ff0f5c0a03616263']
const OF_BUN = [
  '0e00000002010000806107ffffffff',
  'ff42554e010e000000010200000000000000160200000000000000000300000000000000150300000000000000616263010000000101000000000000001302ffffffffffffffff',
]

test('a value in the format of another engine is refused, and stays in its queue', (t) => {
  const [own, other] = isBun(process.execPath) ? [OF_BUN, OF_V8] : [OF_V8, OF_BUN]
  const { shm, queue } = openQueue<unknown>(t, { codec: 'v8', delivery: 'at-least-once' })
  for (const hex of other) {
    const bytes = Buffer.from(hex, 'hex')
    const message = new RegExp(`a value of ${bytes.length} bytes .* "v8" here: Bun .* "msgpack"`)
    const failure = { code: 'ERR_MILLRACE_DECODE', message }
    t.throws(() => deserialize(bytes), failure)
    const buffer = shm.allocate(bytes.length)
    buffer.bytes.set(bytes)
    queue.trySend(buffer)
    t.throws(() => queue.tryGet(), failure)
    queue.tryReceive()!.release()
  }
  for (const hex of own) t.notThrows(() => deserialize(Buffer.from(hex, 'hex')))
})

test('what one version writes every other of the same engine reads, and no other', (t) => {
  // Other versions of Node.js, and Bun, as paths separated by colons; without any, this one alone.
  const others = (process.env['MILLRACE_TEST_RUNTIMES'] ?? '').split(':').filter((path) => path !== '')
  const program = fileURLToPath(new URL('../fixtures/structured.js', import.meta.url))
  const run = (runtime: string, ...args: string[]) =>
    execFileSync(runtime, [program, ...args], { encoding: 'utf8', stdio: 'pipe' })
  const runtimes = [process.execPath, ...others]
  const written = runtimes.map((runtime) => [runtime, run(runtime)] as const)
  for (const reader of runtimes) {
    for (const [writer, bytes] of written) {
      if (isBun(reader) === isBun(writer)) t.is(run(reader, bytes), 'x: y: 5', `${reader} reads ${writer}`)
      else
        t.throws(
          () => run(reader, bytes),
          { message: /not in the format of codec "v8" here/ },
          `${reader} reads ${writer}`,
        )
    }
  }
})

const isBun = (runtime: string) => basename(runtime).startsWith('bun')
