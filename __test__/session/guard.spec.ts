import { once } from 'node:events'
import test from 'ava'
import { buffersInUse, openDomain, openQueue, testDomain } from '../helpers/domain.js'
import { collectGarbage } from '../helpers/gc.js'
import { testMapped } from '../helpers/mapped.js'
import { throwsCode } from '../helpers/errors.js'

const guard = true

testMapped('a guarded view ends with its reference', (t) => {
  const { shm, queue } = openQueue(t, {}, { guard })
  const buffer = shm.allocate(100)
  const { bytes } = buffer
  bytes.fill(5)
  t.is(bytes.buffer.byteLength, buffer.capacity)
  queue.trySend(buffer)
  t.is(bytes.length, 0)
  t.is(bytes[0], undefined)
  const message = queue.tryReceive()!
  const view = message.bytes
  t.deepEqual(view, new Uint8Array(100).fill(5))
  message.release()
  t.is(view.length, 0)
  throwsCode(t, () => message.bytes, 'ERR_MILLRACE_RELEASED')
})

testMapped('each reference has an ArrayBuffer of its own', (t) => {
  const shm = openDomain(t, { guard })
  const buffer = shm.allocate(100)
  const other = buffer.share()
  const [mine, theirs] = [buffer.bytes, other.bytes]
  t.not(mine.buffer, theirs.buffer)
  mine[0] = 1
  t.is(theirs[0], 1)
  buffer.release()
  t.is(mine.length, 0)
  t.is(theirs[0], 1)
  other.release()
  t.is(theirs.length, 0)
})

testMapped('a view outlives neither its loop turn nor the manager', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open({ guard })
  const queue = shm.portQueue('queue', {})
  await queue.putMany([new Uint8Array([1]), new Uint8Array([2])])
  queue.close()
  const views: Uint8Array[] = []
  for await (const message of queue) {
    for (const view of views) t.is(view.length, 0)
    views.push(message.bytes)
  }
  t.is(views.length, 2)
  const { bytes } = shm.allocate(10)
  bytes.fill(7)
  shm.close()
  t.not(bytes[0], 7)
})

test('put and get work as without', async (t) => {
  const { shm, queue } = openQueue<unknown>(t, { codec: 'v8', capacity: 2 }, { guard })
  const put = queue.putMany([1, 'two', { three: 3 }])
  t.deepEqual([await queue.get(), await queue.get(), await queue.get()], [1, 'two', { three: 3 }])
  await put
  t.is(buffersInUse(shm), 0)
})

test('a reference that nobody released is reported with the stack that took it', async (t) => {
  const shm = openDomain(t, { guard })
  const takeAndForget = () => void shm.allocate(10).bytes
  takeAndForget()
  const timer = setInterval(collectGarbage, 1)
  t.teardown(() => clearInterval(timer))
  const [warning] = (await once(process, 'warning')) as [Error & { code: string; detail: string }]
  t.is(warning.code, 'MILLRACE_LEAK')
  t.true(warning.message.includes(shm.domain))
  t.true(warning.detail.includes('takeAndForget'), warning.detail)
})
