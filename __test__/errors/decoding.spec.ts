// What somebody is told who gets a message that is no value: of what, by which codec, why, and how its bytes begin.
import test from 'ava'
import { arrowCodec } from '../../arrow.js'
import type { Codec, CodecName, MillraceError, PortQueue, ShmManager } from '../../index.js'
import { SageQueue } from '../../index.js'
import { openDomain, testDomain } from '../helpers/domain.js'
import { testNamespace } from '../helpers/sage.js'

const DECODE = { code: 'ERR_MILLRACE_DECODE' }

async function sendText(shm: ShmManager, queue: PortQueue<never>, text: string): Promise<void> {
  const message = shm.allocate(text.length)
  message.bytes.set(Buffer.from(text))
  await queue.send(message)
}

const CASES: [codec: CodecName | Codec<unknown>, text: string, why: RegExp][] = [
  ['json', '{"id": 7, oops}', /"json": .*JSON.* \(15 bytes, 7b 22 69 64 22 3a 20 37 …\)$/],
  ['json', '', /"json": .*JSON.* \(no bytes\)$/],
  ['msgpack', '\x92\x01', /"msgpack": .+ \(2 bytes, 92 01\)$/],
  ['v8', '\xff\x0f"\x05ab', /"v8": .+ \(6 bytes, ff 0f 22 05 61 62\)$/],
  [
    arrowCodec as Codec<unknown>,
    'ARROW1',
    /"arrow": a message of 6 bytes is no Arrow table: .* \(6 bytes, 41 52 52 4f 57 31\)$/,
  ],
]

for (const [codec, text, why] of CASES) {
  test(`a queue: ${JSON.stringify(text)} by ${typeof codec === 'string' ? codec : codec.name}`, async (t) => {
    const shm = openDomain(t)
    const queue = shm.portQueue('jobs', { codec } as object) as PortQueue<never>
    const message = shm.allocate(text.length)
    message.bytes.set(Buffer.from(text, 'latin1'))
    await queue.send(message)
    const error = await t.throwsAsync<MillraceError>(queue.get(), DECODE)
    t.true(error.message.startsWith('a value of queue "jobs" cannot be decoded by codec "'), error.message)
    t.regex(error.message, why)
    t.true(error.cause instanceof Error)
  })
}

test('whatever takes the value says so: an iterator, a stream, a list, a topic', async (t) => {
  const shm = openDomain(t)
  const queue = shm.portQueue<never>('jobs', { codec: 'json' })
  const topic = shm.topic<never>('news', { codec: 'json' })
  using subscription = topic.subscribe()
  using named = topic.subscribe({ name: 'log' })
  const next = async (values: AsyncIterable<unknown>) => {
    for await (const value of values) t.fail(String(value))
  }
  for (const read of [
    () => next(queue.values()),
    () => next(queue.readable()),
    async () => queue.getMany(5),
    async () => queue.tryGet(),
  ]) {
    await sendText(shm, queue, 'x')
    await t.throwsAsync(read, { ...DECODE, message: /^a value of queue "jobs" cannot be decoded by codec "json": / })
  }
  const message = shm.allocate(1)
  message.bytes.fill(0)
  await topic.publish(message)
  await t.throwsAsync(subscription.get(), { ...DECODE, message: /^a value of the subscription to topic "news" cannot/ })
  await t.throwsAsync(named.get(), { ...DECODE, message: /^a value of subscription "log" to topic "news" cannot/ })
})

test('who attaches without naming the codec is told the same', async (t) => {
  const domain = testDomain(t)
  const [maker, other] = [domain.open(), domain.open()]
  await sendText(maker, maker.portQueue<never>('jobs', { codec: 'json' }), 'x')
  const message = /^a value of queue "jobs" cannot be decoded by codec "json": /
  await t.throwsAsync(other.portQueue('jobs').get(), { ...DECODE, message })
})

test('a service, on either side, and a SageQueue', async (t) => {
  const domain = testDomain(t)
  const broken = {
    name: 'broken',
    encode: (value: number) => JSON.stringify(value),
    decode: (bytes: Uint8Array): number => {
      if (bytes.length === 1) throw new RangeError('one digit')
      return JSON.parse(Buffer.from(bytes).toString()) as number
    },
  }
  const [server, client] = [domain.open(), domain.open()]
  const service = client.service<number>('half', { codec: broken })
  void server.service<number>('half', { codec: broken }).serve((n) => n / 2)
  t.is(await service.request(40), 20)
  const end = ' cannot be decoded by codec "broken": one digit (1 byte, 37)'
  await t.throwsAsync(service.request(14), { ...DECODE, message: `a reply of service "half"${end}` })
  await t.throwsAsync(service.request(7), { ...DECODE, message: `a request to service "half"${end}` })
  using jobs = new SageQueue<number>('jobs', { namespace: testNamespace(t), codec: broken })
  await jobs.put(7)
  t.throws(() => jobs.peek(), {
    ...DECODE,
    message: `a value of queue "jobs"${end}; it stays in the queue, as after every peek()`,
  })
  await t.throwsAsync(jobs.get(), {
    ...DECODE,
    message: `a value of queue "jobs"${end}; it is in queue "jobs.dead" now`,
  })
})
