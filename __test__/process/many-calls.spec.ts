// Calls that take or send many at once, while others destroy what they work on, or where the system refuses: what an earlier crossing
// into native code has brought is never lost to a later one.
import { closeSync, openSync } from 'node:fs'
import test from 'ava'
import { type BufferPtr, MillraceError, type ShmManager } from '../../index.js'
import type { DestroyArgs } from '../fixtures/destroy-often.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'
import { startChild } from './children.js'

/** References that a participant has according to the domain. */
function heldBy(shm: ShmManager): number {
  return shm.registry.snapshot().participants.find(({ slot }) => slot === shm.participant)!.held
}

test('whoever takes many beside destroy holds nothing it does not know of', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const child = await startChild(t, 'destroy-often', {
    domain: domain.name,
    queue: 'queue',
    duration: 1500,
  } satisfies DestroyArgs).started()
  const work = { over: false }
  let [taken, failed] = [0, 0]
  const rounds = child.hear<number>().finally(() => (work.over = true))
  while (!work.over) {
    try {
      const queue = shm.portQueue('queue')
      const messages = queue.receiveMany(1000)
      taken += messages.length
      for (const message of messages) message.release()
      taken += queue.getMany(1000).length
      for await (using batch of queue.batches({ timeout: 0 })) taken += batch.length
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      failed++
      if (failed % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await child.done()
  t.true((await rounds) > 10 && taken > 0 && failed > 0, `${await rounds} rounds, ${taken} taken, ${failed} failed`)
  shm.portQueue('queue').destroy()
  t.is(heldBy(shm), 0)
  t.is(buffersInUse(shm), 0)
  t.deepEqual(await shm.fsck(), [])
})

/** Opens descriptors until there are none left. Returns how to close them. */
function useUpDescriptors(): () => void {
  const open: number[] = []
  try {
    for (;;) open.push(openSync('/dev/null', 'r'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
  }
  return () => open.forEach((fd) => closeSync(fd))
}

for (const delivery of ['at-most-once', 'at-least-once'] as const) {
  test.serial(`without descriptors, what can be had is had and the rest stays: ${delivery}`, async (t) => {
    const domain = testDomain(t)
    const [sender, shm] = [domain.open(), domain.open()]
    const from = sender.portQueue('queue', { capacity: 64, delivery })
    const queue = shm.portQueue('queue')
    t.is(queue.depth, 0)
    // The receiver has the segment of the small ones mapped, and not that of the large ones.
    from.sendMany([...sender.allocateMany(100, 3), ...sender.allocateMany(1 << 20, 2)])
    const small = queue.peek()!
    small.release()
    // The ring.
    t.is(heldBy(shm), 1)
    const release = useUpDescriptors()
    let messages: BufferPtr[] = []
    try {
      messages = queue.receiveMany(10)
    } finally {
      release()
    }
    messages.push(...queue.receiveMany(10))
    t.deepEqual(
      messages.map(({ length }) => length),
      [100, 100, 100, 1 << 20, 1 << 20],
    )
    for (const message of messages) message.release()
    // Values, too; what failed is thrown by the call that has none.
    await from.putMany([new Uint8Array(10), new Uint8Array(20)])
    from.sendMany(sender.allocateMany(4 << 20, 1))
    const again = useUpDescriptors()
    const lengths: number[] = []
    try {
      lengths.push(...queue.getMany(10).map(({ length }) => length))
      t.throws(() => queue.getMany(10), { instanceOf: MillraceError })
    } finally {
      again()
    }
    lengths.push(...queue.getMany(10).map(({ length }) => length))
    t.deepEqual(lengths, [10, 20, 4 << 20])
    t.is(heldBy(shm), 1)
    t.is(buffersInUse(shm), 0)
    t.deepEqual(await shm.fsck(), [])
  })
}

test.serial('allocateMany without descriptors takes nothing', (t) => {
  const shm = testDomain(t).open()
  const release = useUpDescriptors()
  try {
    throwsCode(t, () => shm.allocateMany(100_000, 10), 'ERR_MILLRACE_LIMIT')
  } finally {
    release()
  }
  t.is(buffersInUse(shm), 0)
  for (const buffer of shm.allocateMany(100_000, 10)) buffer.release()
})
