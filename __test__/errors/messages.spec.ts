// What somebody is told who does the wrong thing: each text says what it is about, and what to do instead.
import { inspect } from 'node:util'
import test from 'ava'
import { tableFromArrays } from 'apache-arrow'
import { tableOf, writeTable } from '../../arrow.js'
import type { ErrorCode } from '../../index.js'
import { defineTopic, MillraceError, SageQueue, ShmManager } from '../../index.js'
import { openDomain, testDomain } from '../helpers/domain.js'
import { testNamespace } from '../helpers/sage.js'

const INVALID = 'ERR_MILLRACE_INVALID_ARGUMENT'

const TEXTS: [text: string | RegExp, code: ErrorCode, provoke: (shm: ShmManager) => unknown][] = [
  [
    "a ShmManager is made by ShmManager.open('domain'), not by new",
    INVALID,
    () => new (ShmManager as unknown as new (name: string) => unknown)('x'),
  ],
  [
    'a queue was asked for by the definition of topic "news"',
    INVALID,
    (shm) => shm.portQueue(defineTopic({ name: 'news' }) as never),
  ],
  [
    'the options of topic "news" are in its definition, and none are possible beside it',
    INVALID,
    (shm) => (shm.topic as (...all: unknown[]) => unknown).call(shm, defineTopic({ name: 'news' }), {}),
  ],
  ['options of queue "q" must be an object, not null', INVALID, (shm) => shm.portQueue('q', null as never)],
  [
    'capacity.min is 64, more than capacity.max, which is 32',
    INVALID,
    (shm) => shm.portQueue('q', { capacity: { min: 64, max: 32 } }),
  ],
  [
    `a value for codec "bytes" must be a Uint8Array (for other values name a codec, such as { codec: 'json' }), not an object of class Object`,
    INVALID,
    (shm) => shm.portQueue('q', {}).put({ a: 1 } as never),
  ],
  [
    'a value for codec "bytes" must be data: send() passes buffers on, put() copies values, not an object of class BufferPtr',
    INVALID,
    (shm) => {
      using buffer = shm.allocate(8)
      return shm.portQueue('q', {}).put(buffer as never)
    },
  ],
  [
    /^a buffer of 67108864 bytes is more than domain "[^"]+" can ever hold: its maxBytes is 4194304$/,
    'ERR_MILLRACE_TOO_LARGE',
    (shm) => shm.allocate(2 ** 26),
  ],
  [
    'the codec of queue "none" was not named within 5 ms: nobody has created it',
    'ERR_MILLRACE_TIMEOUT',
    (shm) => shm.portQueue<unknown>('none').put({ a: 1 }, { timeout: 5 }),
  ],
  [
    /^no buffer of 2097152 bytes came back within 5 ms: domain .* has no buffer of 2097152 bytes left: .*; smaller buffers in use take up the budget$/,
    'ERR_MILLRACE_TIMEOUT',
    async (shm) => {
      const held = [shm.allocate(2 ** 20), shm.allocate(2 ** 20)]
      await shm.allocator.allocateAsync(2 ** 21, { timeout: 5 }).finally(() => held.forEach((one) => one.release()))
    },
  ],
  [
    /^there is no memory for queue "large" to hold 1048576 messages: domain .* has maxBytes 4194304, a buffer needs \d+ bytes$/,
    'ERR_MILLRACE_TOO_LARGE',
    (shm) => shm.portQueue('large', { capacity: 2 ** 20 }),
  ],
  [
    /^there is no memory for queue "small" to hold 1048576 messages: domain .* has maxBytes 4194304, a buffer needs \d+ bytes$/,
    'ERR_MILLRACE_TOO_LARGE',
    (shm) => shm.portQueue('small', { capacity: 2 }).resize(2 ** 20),
  ],
  [
    /^topic "news" exists with history 4, 9 was asked for: "[^"]+" \(process \d+\) subscribes to it; a topic keeps the options of whoever made it: name the same on every side, or none here$/,
    'ERR_MILLRACE_OPTIONS_MISMATCH',
    (shm) => {
      using subscription = shm.topic('news', { history: 3 }).subscribe()
      shm.topic(subscription.topic, { history: 9 })
    },
  ],
  [
    'queue "solo" exists with producers 1, "many" was asked for: nobody else has it open: destroy it first, or leave out what differs',
    'ERR_MILLRACE_OPTIONS_MISMATCH',
    (shm) => {
      shm.portQueue('solo', { producers: 1 })
      shm.portQueue('solo', { producers: 'many' })
    },
  ],
  [
    'queue "raw" exists with codec "bytes", "json" was asked for: nobody else has it open: destroy it first, or leave out what differs',
    'ERR_MILLRACE_OPTIONS_MISMATCH',
    async (shm) => {
      await shm.portQueue('raw').put(Uint8Array.of(1))
      shm.portQueue('raw', { codec: 'json' })
    },
  ],
  [
    /^queue "solo" has one producer, and participant \d+, "[^"]+" \(process \d+\), is it$/,
    'ERR_MILLRACE_ROLE',
    async (shm) => {
      using other = ShmManager.open(shm.domain)
      const options = { producers: 1 } as const
      await other.portQueue('solo', options).put(Uint8Array.of(1))
      await shm.portQueue('solo', options).put(Uint8Array.of(1))
    },
  ],
  [
    'what a table is read from must be a message that was received; of bytes, tableFromIPC() of apache-arrow makes a table, not an object of class Uint8Array',
    INVALID,
    () => tableOf(new Uint8Array(8) as never),
  ],
  [
    'where a table is written must be a ShmManager or an allocator: queue.send(writeTable(shm, table)), not an object of class PortQueue',
    INVALID,
    (shm) => writeTable(shm.portQueue('q') as never, tableFromArrays({ a: [1] })),
  ],
]

for (const [text, code, provoke] of TEXTS) {
  test(`${code}: ${String(text)}`, async (t) => {
    const shm = openDomain(t, { maxBytes: '4MiB' })
    const error = await t.throwsAsync(async () => await provoke(shm), { instanceOf: MillraceError, code })
    if (typeof text === 'string') t.is(error.message, text)
    else t.regex(error.message, text)
  })
}

test('a buffer of another manager: of the same domain, and of another', (t) => {
  const [domain, elsewhere] = [testDomain(t), testDomain(t)]
  const queue = domain.open().portQueue('queue', {})
  for (const [other, says] of [
    [domain.open(), `than the one that is to send it: open one for each process or thread, and use that for both`],
    [elsewhere.open(), `is to be sent in domain "${domain.name}": copy it, by put(buffer.bytes)`],
  ] as const) {
    using buffer = other.allocate(8)
    const error = t.throws(() => queue.trySend(buffer), { code: 'ERR_MILLRACE_FOREIGN_BUFFER' })
    t.true(error.message.endsWith(says), error.message)
  }
})

test('one call that waited is one call', async (t) => {
  const shm = testDomain(t).open()
  const wait = shm.portQueue('queue', {}).get()
  shm.close()
  await t.throwsAsync(wait, {
    code: 'ERR_MILLRACE_CLOSED',
    message: / 1 call waited when it was closed: await it first$/,
  })
})

test('who publishes is told that some may have dropped the message', async (t) => {
  const shm = openDomain(t)
  const topic = shm.topic('topic', {})
  using slow = topic.subscribe({ capacity: 1 })
  using other = topic.subscribe({ capacity: 1, overflow: 'reject' })
  await topic.put(Uint8Array.of(1))
  await t.throwsAsync(topic.put(Uint8Array.of(2), { timeout: 5 }), {
    code: 'ERR_MILLRACE_TIMEOUT',
    message:
      /full is the subscriber .*; all others have the message, but for those whose overflow policy has dropped it$/,
  })
  t.deepEqual([slow.depth, other.depth], [1, 1])
})

test('console.log of a queue, a topic, a subscription and a SageQueue', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue('jobs', { capacity: 4 })
  t.is(inspect(shm.portQueue('later')), "PortQueue { name: 'later' }")
  await queue.put(Uint8Array.of(1))
  t.regex(inspect(queue), /^PortQueue \{[^}]*name: 'jobs'[^}]*capacity: 4[^}]*depth: 1/)
  t.regex(inspect(shm.topic('news', { history: 2 })), /^Topic \{[^}]*name: 'news'[^}]*history: 2/)
  using subscription = shm.topic('news').subscribe()
  t.regex(inspect({ subscription }), /subscription: Subscription \{[^}]*name: 'news'/)
  using jobs = new SageQueue('jobs', { namespace: testNamespace(t) })
  t.regex(inspect(jobs), /^SageQueue \{[^}]*name: 'jobs'[^}]*maxsize: 1024/)
  queue.destroy()
  t.is(inspect(queue), "PortQueue { name: 'jobs' }")
})
