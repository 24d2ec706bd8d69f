// What cannot be done in the background ends a call, or the serving, and never a process. Streams do not heed the deaths of others.
import test from 'ava'
import type { Codec } from '../../index.js'
import type { BindingManager, BindingSegment } from '../../lib/native/native.js'
import type { Job, Result, ServiceArgs } from '../fixtures/service.js'
import { eraseHeld } from '../helpers/damage.js'
import { objectOf, openNative, testDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import type { ServiceShortage } from '../fixtures/service-small-memory.js'
import { inSmallMemory, runInSmallMemory, smallMemory } from '../helpers/small-memory.js'
import { Deaths, startChild, until } from './children.js'

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

function segmentsOf(manager: BindingManager): BindingSegment[] {
  const all: BindingSegment[] = []
  try {
    for (;;) all.push(manager.segment(all.length))
  } catch {
    return all
  }
}

test.serial('a server that cannot reach its clients for want of descriptors ends serving, and lives', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const few = { execPath: '/bin/sh', execArgv: ['-c', 'ulimit -n 128; exec "$0" "$@"', process.execPath] }
  const server = startChild(t, 'service-without-descriptors', { domain: domain.name }, few)
  await server.started()
  const near = shm.service<number, number>('work', { codec: 'json' })
  t.is(await near.request(1), 2)
  server.say('exhaust')
  t.is(await server.hear(), 'exhausted')
  // Its mailbox is so large that it lies in a segment of its own, which the server cannot map any more.
  const far = domain.open().service<number, number>('work', { codec: 'json', inFlight: 2 ** 16 })
  const lost = rejectsCode(t, far.request(1, { timeout: 2000 }), 'ERR_MILLRACE_TIMEOUT', 'has begun to run')
  t.is(await server.hear(), 'ERR_MILLRACE_LIMIT')
  await lost
  t.is(near.stats().servers, 0)
  server.say('go')
  await server.done()
})

test.serial('a client whose mailbox is damaged is as good as gone', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const args: ServiceArgs = { domain: domain.name, role: 'serve' }
  const server = await startChild(t, 'service', args).started()
  const near = shm.service<Job, Result>('work', { codec: 'json' })
  t.is((await near.request({ do: 'square', n: 3 })).n, 9)
  // So large that it lies in a segment of its own, which begins with it.
  const far = domain.open().service<Job, Result>('work', { codec: 'json', inFlight: 2 ** 16 })
  t.is((await far.request({ do: 'square', n: 4 })).n, 16)
  const stranger = openNative(domain)
  const large = segmentsOf(stranger).find(({ stride }) => stride >= 2 ** 19)!
  const ring = new Uint8Array(large.payload, 0, 1024)
  const before = ring.slice()
  ring.fill(0xff)
  // Who has attached it goes by what it has; a server that comes now finds no mailbox in it.
  await near.request({ do: 'stop', n: 0 })
  await server.done()
  const fresh = await startChild(t, 'service', args).started()
  await rejectsCode(t, far.request({ do: 'square', n: 5 }, { timeout: 500 }), 'ERR_MILLRACE_TIMEOUT', 'has begun')
  t.is((await near.request({ do: 'square', n: 6 })).n, 36)
  ring.set(before)
  stranger.close()
  await near.request({ do: 'stop', n: 0 })
  await fresh.done()
})

onLinux('a request whose buffer others damage before it is sent ends once, and the next has its turn', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const stranger = openNative(domain)
  t.teardown(() => stranger.close())
  let damaging = true
  const write = (target: Uint8Array) => {
    if (!damaging) return
    damaging = false
    const segments = segmentsOf(stranger)
    const which = segments.findIndex(({ stride }) => stride === 4096)
    eraseHeld(objectOf(shm, `pool.${which}`), segments[which]!, target.byteOffset / 4096)
  }
  const codec: Codec<string> = { name: 'odd', encode: () => ({ byteLength: 3000, write }), decode: () => 'value' }
  const client = shm.service<string, string>('work', { codec, inFlight: 1 })
  const server = domain.open().service<string, string>('work', { codec })
  void server.serve(() => 'reply')
  await rejectsCode(t, client.request('damaged', { timeout: 1000 }), 'ERR_MILLRACE_NOT_HELD')
  t.is(await client.request('sound', { timeout: 1000 }), 'value')
})

inSmallMemory(smallMemory('with /dev/shm full requests are refused, replies wait, and nobody dies'), async (t) => {
  t.timeout(60_000)
  const came = await runInSmallMemory<ServiceShortage>('6m', 'service-small-memory')
  const refused = ['ERR_MILLRACE_NO_SPACE', 'ERR_MILLRACE_NO_SPACE']
  t.deepEqual(came, { refused, waited: 60_000, reply: 100_000, items: 50, unhandled: [] })
})

test.serial('streams between two healthy processes go on while others die', async (t) => {
  const domain = testDomain(t)
  t.timeout(60_000)
  const shm = domain.open()
  const work = shm.service<object, { n: number }>('work', { codec: 'json' })
  const args: ServiceArgs = { domain: domain.name, role: 'serve' }
  const server = await startChild(t, 'service', args).started()
  const deaths = new Deaths(shm)
  const leaving = new AbortController()
  let items = 0
  const reading = (async () => {
    while (!leaving.signal.aborted) {
      for await (const { n } of work.stream({ do: 'count', n: 2000 }, { window: 64 })) {
        t.is(n, items++ % 2000)
        if (leaving.signal.aborted) break
      }
    }
  })()
  for (let i = 0; i < 8; i++) {
    const bystander = await startChild(t, 'service', { ...args, role: 'hang' }).started()
    const before = items
    await bystander.kill()
    await deaths.of(bystander)
    await until(() => items > before + 100)
  }
  leaving.abort()
  await reading
  t.true(items > 1200)
  await work.request({ do: 'stop', n: 0 })
  await server.done()
})
