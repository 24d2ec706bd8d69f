import test from 'ava'
import { TestDomain } from '../../testing.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

test('a queue closes with its last producer, however that goes, and receivers get what is in it', async (t) => {
  await using domain = new TestDomain()
  const shm = domain.open()
  const queue = shm.portQueue('queue', { closeWithProducers: true, codec: 'bytes' })
  t.is(queue.info?.closeWithProducers, true)
  t.deepEqual([queue.producers, queue.consumers], [0, 0])
  const got: number[] = []
  const receiving = (async () => {
    for await (const message of queue) got.push(message.bytes[0]!)
  })()
  const [closes, exits, dies] = [await domain.peer(), await domain.peer(), await domain.peer()]
  // One that has not sent is none, and nothing ends with it.
  const idle = await domain.peer()
  await idle.kill()
  await Promise.all([closes, exits, dies].map((peer, i) => peer.send('queue', new Uint8Array([i]))))
  t.deepEqual([queue.producers, queue.consumers], [3, 1])
  await closes.close()
  t.is(queue.producers, 2)
  await exits.exit()
  t.is(queue.producers, 1)
  t.false(queue.info?.closed)
  await dies.stop()
  t.is(queue.producers, 1, 'who stands still is there')
  await dies.kill()
  await receiving
  t.deepEqual(
    got.toSorted((one, other) => one - other),
    [0, 1, 2],
  )
  t.true(queue.info?.closed)
  t.deepEqual([queue.producers, queue.consumers], [0, 1])
  await rejectsCode(t, queue.put(new Uint8Array(1)), 'ERR_MILLRACE_CLOSED')
})

test('other queues stay open without producers; the option is compared like others', async (t) => {
  await using domain = new TestDomain()
  const [shm, other] = [domain.open(), domain.open()]
  const queue = shm.portQueue('queue', { closeWithProducers: false })
  t.is(queue.info?.closeWithProducers, false)
  await other.portQueue('queue').put(new Uint8Array([1]))
  t.is(queue.producers, 1)
  other.close()
  t.is(queue.producers, 0)
  t.false(queue.info?.closed)
  throwsCode(
    t,
    () => shm.portQueue('queue', { closeWithProducers: true }),
    'ERR_MILLRACE_OPTIONS_MISMATCH',
    'closeWithProducers',
  )
  throwsCode(
    t,
    () => shm.portQueue('queue', { closeWithProducers: 1 as never }),
    'ERR_MILLRACE_INVALID_ARGUMENT',
    'closeWithProducers',
  )
  t.deepEqual([shm.portQueue('nothing').producers, shm.portQueue('nothing').consumers], [0, 0])
  queue.tryReceive()?.release()
})
