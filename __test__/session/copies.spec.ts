import test from 'ava'
import { isIntact, write } from '../fixtures/content.js'
import type { ReviseArgs } from '../fixtures/revise.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { startChild } from '../process/children.js'

const COUNT = 70
/** Cells of a pack, whole buffers, and one that is a segment's alone. */
const SIZES = [1, 63, 64, 200, 4096, 65_536, 1_000_000]

for (const external of ['0', '1']) {
  test(`what a process changes arrives, with external ArrayBuffers: ${external}`, async (t) => {
    const domain = testDomain(t)
    const shm = domain.open()
    const input = shm.portQueue('in', { capacity: 8 })
    const output = shm.portQueue('out', { capacity: 8 })
    using revised = shm.topic('revised', {}).subscribe({ capacity: 8, overflow: 'block' })
    const env = { ...process.env, MILLRACE_EXTERNAL_BUFFERS: external }
    const child = await startChild(t, 'revise', { domain: domain.name } satisfies ReviseArgs, { env }).started()
    const sent = (async () => {
      for (let i = 0; i < COUNT; i++) {
        const message = await shm.allocateAsync(SIZES[i % SIZES.length]!)
        write(message.bytes, 0, i)
        message.sequence = BigInt(i)
        await input.send(message)
      }
      input.close()
    })()
    for (let i = 0; i < COUNT; i++) {
      for (const queue of [output, revised]) {
        using message = await queue.receive()
        t.is(message.sequence, BigInt(i))
        t.is(message.tag, BigInt(2 * i))
        t.is(message.length, SIZES[i % SIZES.length]!)
        t.true(isIntact(message.bytes, 1, i))
      }
    }
    await sent
    t.deepEqual(await child.hear(), { zeroCopy: external === '1' })
    await child.ended
    t.is(buffersInUse(shm), 0)
  })
}

test('a reference and its share see what the other writes, and lengths may change', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const queue = shm.portQueue('queue', { capacity: 8 })
  const message = shm.allocate(3)
  message.bytes.set([1, 2, 3])
  const shared = message.share()
  shared.bytes[1] = 20
  t.deepEqual([...message.bytes], [1, 20, 3])
  message.length = 5
  message.bytes.set([4, 5], 3)
  shared.release()
  await queue.send(message)
  using received = await queue.receive()
  t.deepEqual([...received.bytes], [1, 20, 3, 4, 5])
})

test('a message that comes again is as it was sent, or as its receiver left it', async (t) => {
  const shm = testDomain(t).open()
  const queue = shm.portQueue('queue', { capacity: 8, delivery: 'at-least-once' })
  await queue.put(Uint8Array.of(1, 2, 3))
  const first = await queue.receive()
  t.deepEqual([...first.bytes], [1, 2, 3])
  first.nack()
  using again = await queue.receive()
  t.is(again.attempt, 2)
  t.deepEqual([...again.bytes], [1, 2, 3])
})
