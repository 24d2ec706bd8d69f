// kill -9 of consumers of an at-least-once queue at random moments: each message is processed, and twice only if it says so.
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import type { AcknowledgeArgs } from '../fixtures/acknowledge.js'
import { buffersInUse, testDomain } from '../helpers/domain.js'
import { Deaths, startChild } from './children.js'

const KILLS = process.env['MILLRACE_LONG'] === '1' ? 300 : 10
const CONSUMERS = 3

/** How often a message was recorded, delivered for the first time and delivered again. */
interface Account {
  first: number
  again: number
}

for (const how of ['iterate', 'consume', 'batches'] as const) {
  test.serial(`consumers that ${how} are killed: nothing is lost, and what comes twice says so`, async (t) => {
    const domain = testDomain(t)
    t.timeout(KILLS * 20_000)
    const shm = domain.open()
    const deaths = new Deaths(shm)
    const queue = shm.portQueue('queue', { capacity: 64, delivery: 'at-least-once' })
    const records = shm.portQueue('records', { capacity: 256 })
    const accounts = new Map<bigint, Account>()
    const recorded = records.consume(({ sequence, source }) => {
      const account = accounts.get(sequence) ?? { first: 0, again: 0 }
      if (source === 1) account.again++
      else account.first++
      accounts.set(sequence, account)
    })
    const start = () => {
      const args: AcknowledgeArgs = { domain: domain.name, from: 'queue', to: 'records', how }
      return startChild(t, 'acknowledge', args).started()
    }
    let sent = 0n
    const enough = new AbortController()
    const produced = (async () => {
      while (!enough.signal.aborted) {
        const message = shm.allocate(100)
        message.sequence = sent++
        await queue.send(message)
      }
    })()

    const consumers = await Promise.all(Array.from({ length: CONSUMERS }, start))
    let redelivered = 0
    for (let kill = 0; kill < KILLS; kill++) {
      // A random moment, not a state to be waited for.
      await setTimeout(Math.random() * 20)
      const victim = Math.floor(Math.random() * CONSUMERS)
      const [dead] = consumers.splice(victim, 1, await start())
      await dead!.kill()
      redelivered += (await deaths.of(dead!)).redelivered
    }
    enough.abort()
    await produced
    queue.close()
    await Promise.all(consumers.map((consumer) => consumer.done()))
    records.close()
    await recorded

    t.is(BigInt(accounts.size), sent, 'every message was processed')
    const counts = [...accounts.values()]
    t.deepEqual(
      counts.filter(({ first }) => first > 1),
      [],
      'what comes again says so',
    )
    const again = counts.reduce((sum, account) => sum + account.again, 0)
    const twice = counts.filter(({ first, again: more }) => first + more > 1).length
    t.log(`${sent} messages, ${KILLS} kills, ${redelivered} given back, ${again} recorded again, ${twice} twice`)
    t.like(shm.stats().queues['queue'], {
      sent: Number(sent),
      received: Number(sent),
      depth: 0,
      leased: 0,
      pending: 0,
      redelivered,
    })
    t.true(redelivered > 0, 'kills met messages in hand')
    t.true(again <= redelivered)
    t.is(buffersInUse(shm), 0)
    t.deepEqual(await shm.fsck(), [])
  })
}
