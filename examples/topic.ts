// One publisher, three subscribers in processes of their own: one gets everything, one is too slow, one comes late.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ShmManager, type SubscribeOptions } from 'millrace'

const MESSAGES = 20_000
const HISTORY = 16
const SLOW_CAPACITY = 8
const TOPIC = { history: HISTORY }

/** How each of them wants to be served. Publishers wait for those who want to miss nothing, and for nobody else. */
const KINDS: Record<string, SubscribeOptions> = {
  all: { capacity: 64, overflow: 'block' },
  slow: { capacity: SLOW_CAPACITY, overflow: 'drop-oldest' },
  late: { capacity: 64, overflow: 'block' },
}

const [role, domain] = process.argv.slice(2)
if (role !== undefined) await subscribe(role, domain!)
else await publish(`example-topic-${process.pid}`)

async function subscribe(kind: string, name: string): Promise<void> {
  process.once('disconnect', () => process.exit())
  using shm = ShmManager.open(name)
  using messages = shm.topic('prices').subscribe(KINDS[kind])
  process.send!('subscribed')
  // Busy with something else until it is told to go on.
  if (kind === 'slow') await once(process, 'message')
  const seen = { first: -1, last: -1, received: 0, missed: 0 }
  for await (const message of messages) {
    const sequence = Number(message.sequence)
    assert.equal(message.as(Float64Array)[0], sequence / 4)
    if (seen.received === 0) seen.first = sequence
    else assert.equal(sequence, seen.last + message.gap + 1)
    seen.missed += message.gap
    seen.received++
    seen.last = sequence
  }
  process.send!(seen, () => process.disconnect())
}

async function publish(name: string): Promise<void> {
  using shm = ShmManager.open(name)
  const topic = shm.topic('prices', TOPIC)
  const all = await start('all', name)
  const slow = await start('slow', name)
  const send = async (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      const message = shm.allocate(Float64Array.BYTES_PER_ELEMENT)
      message.as(Float64Array)[0] = i / 4
      message.sequence = BigInt(i)
      // One buffer, whoever gets it.
      await topic.publish(message)
    }
  }
  await send(0, MESSAGES / 2)
  const late = await start('late', name)
  await send(MESSAGES / 2, MESSAGES)
  topic.close()

  const last = MESSAGES - 1
  assert.deepEqual(await all.ending(), { first: 0, last, received: MESSAGES, missed: 0 })
  console.log(`one got all ${MESSAGES} messages, in order`)
  const missed = MESSAGES - SLOW_CAPACITY
  const queues = shm.stats().topics.prices!.subscriptions
  assert.equal(queues.find(({ overflow }) => overflow === 'drop-oldest')?.dropped, missed)
  slow.child.send('go on')
  assert.deepEqual(await slow.ending(), { first: missed, last, received: SLOW_CAPACITY, missed })
  console.log(`the slow one held up nobody: it has the last ${SLOW_CAPACITY}, and knows that it missed ${missed}`)
  const received = MESSAGES / 2 + HISTORY
  assert.deepEqual(await late.ending(), { first: MESSAGES - received, last, received, missed: 0 })
  console.log(`the late one began with the ${HISTORY} messages before it came, and got the ${MESSAGES / 2} after`)
}

interface Subscriber {
  child: ChildProcess
  /** What it has seen, once it has ended. */
  ending(): Promise<unknown>
}

async function start(kind: string, name: string): Promise<Subscriber> {
  const child = fork(fileURLToPath(import.meta.url), [kind, name])
  const ended = once(child, 'exit')
  const said: unknown[] = []
  child.on('message', (message) => said.push(message))
  await once(child, 'message')
  const ending = async () => {
    assert.deepEqual(await ended, [0, null])
    return said.at(-1)
  }
  return { child, ending }
}
