import { execFileSync } from 'node:child_process'
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

test('what one version writes every other reads', (t) => {
  // Other versions of Node.js, as paths separated by colons; without any, this one alone.
  const nodes = (process.env['MILLRACE_TEST_NODES'] ?? '').split(':').filter((path) => path !== '')
  const program = fileURLToPath(new URL('../fixtures/structured.js', import.meta.url))
  const run = (node: string, ...args: string[]) => execFileSync(node, [program, ...args], { encoding: 'utf8' })
  const written = [process.execPath, ...nodes].map((node) => run(node))
  for (const node of [process.execPath, ...nodes]) {
    for (const bytes of written) t.is(run(node, bytes), 'x: y: 5', `${node} reads ${bytes.slice(0, 20)}`)
  }
})
