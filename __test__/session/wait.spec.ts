import { getEventListeners } from 'node:events'
import test from 'ava'
import { MillraceError } from '../../index.js'
import { openDomain, openQueue, testDomain } from '../helpers/domain.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

function abortable() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: (reason: Error) => controller.abort(reason) }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('a wait ends when the message comes, from this or another participant', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const [mine, theirs] = [a.portQueue('queue', {}), b.portQueue('queue')]
  for (const sender of [mine, theirs, mine, theirs]) {
    const received = mine.receive()
    await turn()
    t.true(sender.tryPut(new Uint8Array(3)))
    using message = await received
    t.is(message.length, 3)
  }
})

test('thousands of parked round trips between two participants', async (t) => {
  const domain = testDomain(t)
  const [a, b] = [domain.open(), domain.open()]
  const [ping, pong] = [a.portQueue('ping', {}), a.portQueue('pong', {})]
  const echo = b.portQueue('ping').consume((message) => {
    const reply = message.share()
    b.portQueue('pong').trySend(reply)
  })
  for (let i = 0; i < 3000; i++) {
    const answer = pong.get()
    await ping.put(new Uint8Array([i & 255]))
    t.is((await answer)[0], i & 255)
  }
  ping.close()
  await echo
})

test('a wait times out, and takes nothing afterwards', async (t) => {
  const { queue } = openQueue(t, { capacity: 1 })
  await rejectsCode(t, queue.receive({ timeout: 0 }), 'ERR_MILLRACE_TIMEOUT', 'queue', '0 ms')
  await rejectsCode(t, queue.get({ timeout: 5 }), 'ERR_MILLRACE_TIMEOUT', 'queue', '5 ms')
  await queue.put(new Uint8Array([1]))
  await rejectsCode(t, queue.put(new Uint8Array([2]), { timeout: 5 }), 'ERR_MILLRACE_TIMEOUT', 'queue')
  t.deepEqual(queue.getMany(10), [new Uint8Array([1])])
})

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

test.serial('a wait that is served in time leaves no timer and no listener behind', async (t) => {
  const { queue } = openQueue(t)
  const { signal } = new AbortController()
  const before = timers()
  const got = queue.get({ timeout: 1000, signal })
  t.is(timers(), before + 1)
  t.is(getEventListeners(signal, 'abort').length, 1)
  await queue.put(new Uint8Array([1]))
  t.deepEqual(await got, new Uint8Array([1]))
  t.is(timers(), before)
  t.is(getEventListeners(signal, 'abort').length, 0)
})

test('a wait aborts with the reason of its signal', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 1 })
  const reason = new RangeError('enough')
  const aborted = AbortSignal.abort(reason)
  await queue.put(new Uint8Array(1))
  const buffer = shm.allocate(8)
  for (const operation of [
    () => queue.receive({ signal: aborted }),
    () => queue.get({ signal: aborted }),
    () => queue.send(buffer, { signal: aborted }),
    () => queue.put(new Uint8Array(1), { signal: aborted }),
    () => queue.putMany([new Uint8Array(1)], { signal: aborted }),
    () => shm.allocateAsync(8, { signal: aborted }),
  ]) {
    t.is(await t.throwsAsync(operation()), reason)
  }
  t.is(queue.depth, 1)
  t.is(buffer.length, 8)
  const abort = new AbortController()
  const waits = [
    queue.send(buffer, abort),
    queue.put(new Uint8Array(1), abort),
    queue.putMany([new Uint8Array(1)], abort),
  ]
  abort.abort(reason)
  for (const wait of waits) t.is(await t.throwsAsync(wait), reason)
  t.is(buffer.length, 8)
  queue.tryReceive()!.release()
  t.is(queue.depth, 0)
})

test('an abort of the first in line serves the next', async (t) => {
  const { queue } = openQueue(t)
  const abort = new AbortController()
  const first = queue.get({ signal: abort.signal })
  const second = queue.get()
  abort.abort()
  await t.throwsAsync(first, { any: true, name: 'AbortError' })
  await queue.put(new Uint8Array([2]))
  t.deepEqual(await second, new Uint8Array([2]))
})

test('one signal ends as many waits as there are, without a warning', async (t) => {
  const shm = openDomain(t)
  const { signal, abort } = abortable()
  const warnings: Error[] = []
  const record = (warning: Error) => warnings.push(warning)
  process.on('warning', record)
  const waits = Array.from({ length: 100 }, (_, i) => shm.portQueue(`q${i}`, { capacity: 1 }).get({ signal }))
  await shm.portQueue('q50').put(new Uint8Array(1))
  t.is((await waits[50])?.length, 1)
  const reason = new RangeError('enough')
  abort(reason)
  for (const [i, wait] of waits.entries()) if (i !== 50) t.is(await t.throwsAsync(wait), reason)
  await turn()
  process.off('warning', record)
  t.deepEqual(warnings, [])
})

test('a buffer released while its send waits is not sent', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 1 })
  await queue.put(new Uint8Array(1))
  const buffer = shm.allocate(8)
  const sent = queue.send(buffer)
  buffer.release()
  queue.tryReceive()!.release()
  await rejectsCode(t, sent, 'ERR_MILLRACE_RELEASED')
  t.is(queue.depth, 0)
})

test('hundreds of queues waited for at once: each ring wakes its own', async (t) => {
  const shm = openDomain(t)
  const queues = Array.from({ length: 600 }, (_, i) => shm.portQueue<number>(`q${i}`, { capacity: 1, codec: 'json' }))
  const gets = queues.map((queue) => queue.get())
  const served: number[] = []
  for (const [i, get] of gets.entries()) void get.then(() => served.push(i))
  queues[17]!.tryPut(17)
  t.is(await gets[17], 17)
  await turn()
  t.deepEqual(served, [17])
  for (const [i, queue] of queues.entries()) if (i !== 17) queue.tryPut(i)
  t.deepEqual(
    await Promise.all(gets),
    queues.map((_, i) => i),
  )
})

test('on the main thread a blocking wait must be asked for', (t) => {
  const { shm, queue } = openQueue(t, { capacity: 1 })
  throwsCode(t, () => queue.receiveSync(), 'ERR_MILLRACE_WOULD_BLOCK', 'allowBlocking')
  throwsCode(t, () => queue.sendSync(shm.allocate(8)), 'ERR_MILLRACE_WOULD_BLOCK', 'allowBlocking')
  const allowBlocking = true
  throwsCode(t, () => queue.receiveSync({ allowBlocking, timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', 'queue')
  queue.sendSync(shm.allocate(8), { allowBlocking })
  throwsCode(t, () => queue.sendSync(shm.allocate(8), { allowBlocking, timeout: 1 }), 'ERR_MILLRACE_TIMEOUT', 'queue')
  using message = queue.receiveSync({ allowBlocking })
  t.is(message.length, 8)
  queue.close()
  throwsCode(t, () => queue.receiveSync({ allowBlocking }), 'ERR_MILLRACE_CLOSED', 'queue')
})

test('blocking waits leave waits under way intact', async (t) => {
  const { shm, queue } = openQueue(t)
  const other = shm.portQueue('other', {})
  const got = other.get()
  t.true(other.tryPut(new Uint8Array([1])))
  t.throws(() => queue.receiveSync({ allowBlocking: true, timeout: 5 }), { instanceOf: MillraceError })
  t.deepEqual(await got, new Uint8Array([1]))
})

test('a wait that polls first ends as any other, and takes nothing after its timeout', async (t) => {
  const domain = testDomain(t)
  for (const spin of [0, 0.5, 200, 'auto'] as const) {
    const shm = domain.open({ spin })
    const queue = shm.portQueue(`queue-${spin}`, { capacity: 2 })
    for (let i = 0; i < 200; i++) {
      const got = i % 2 === 0 ? queue.get() : queue.get({ spin: 'auto' })
      await queue.put(new Uint8Array([i]))
      t.is((await got)[0], i)
    }
    const before = performance.now()
    await rejectsCode(t, queue.receive({ spin: 500, timeout: 0 }), 'ERR_MILLRACE_TIMEOUT', '0 ms')
    t.true(performance.now() - before >= 0.5)
    await queue.put(new Uint8Array([7]))
    t.is(queue.receiveSync({ spin: 10, allowBlocking: true }).bytes[0], 7)
    t.is(queue.depth, 0)
  }
})

test('a time to poll that is none is refused', async (t) => {
  const { queue } = openQueue(t)
  const domain = testDomain(t)
  for (const spin of [-1, 1001, Number.NaN, 'always' as 'auto']) {
    throwsCode(t, () => domain.open({ spin }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'spin')
    await rejectsCode(t, queue.receive({ spin }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'spin')
    throwsCode(t, () => queue.receiveSync({ spin, allowBlocking: true }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'spin')
  }
})

test('options are asked once: what was checked is what rules the wait', async (t) => {
  const { shm, queue } = openQueue(t)
  const service = shm.service('work', {})
  await rejectsCode(t, queue.get(fickle()), 'ERR_MILLRACE_TIMEOUT')
  await rejectsCode(t, queue.values(fickle()).next(), 'ERR_MILLRACE_TIMEOUT')
  await rejectsCode(t, service.request(Buffer.from('a'), fickle()), 'ERR_MILLRACE_TIMEOUT')
  const stream = service.stream(Buffer.from('a'), fickle())
  await rejectsCode(t, stream.next(), 'ERR_MILLRACE_TIMEOUT')
})

/** Options that say something else at the second look. */
function fickle() {
  let [time, signal] = [0, 0]
  return {
    get timeout() {
      return time++ === 0 ? 5 : ('soon' as unknown as number)
    },
    get signal() {
      return signal++ === 0 ? undefined : ({} as AbortSignal)
    },
  }
}

test('a loop of calls that never have to wait lets the event loop turn', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 4 })
  const latest = shm.portQueue('latest', { overflow: 'latest' })
  const topic = shm.topic('topic', {})
  const one = new Uint8Array(1)
  const loops: [string, () => Promise<unknown>][] = [
    ['get', () => (queue.tryPut(one), queue.get())],
    ['receive', async () => (queue.tryPut(one), (await queue.receive()).release())],
    ['put', () => latest.put(one)],
    ['putMany', () => latest.putMany([one, one])],
    ['send', () => latest.send(shm.allocate(1))],
    ['publish', () => topic.publish(shm.allocate(1))],
    ['topic.put', () => topic.put(one)],
  ]
  for (const [name, call] of loops) {
    let turned = false
    setImmediate(() => (turned = true))
    const patience = performance.now() + 5000
    while (performance.now() < patience) {
      await call()
      if (turned) break
    }
    t.true(turned, name)
  }
})
