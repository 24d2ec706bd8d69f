import test from 'ava'
import type { HoldArgs } from '../fixtures/hold.js'
import type { Heard, ListenArgs } from '../fixtures/listen.js'
import { testDomain } from '../helpers/domain.js'
import { Deaths, startChild } from './children.js'

test('a listener that throws takes no report from anybody', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const deaths = new Deaths(shm)
  const listener = await startChild(t, 'listen', { domain: domain.name, deaths: 3 } satisfies ListenArgs).started()
  const victims = [1, 2, 3].map(() => startChild(t, 'hold', { domain: domain.name, queue: 'queue' } satisfies HoldArgs))
  await Promise.all(victims.map((victim) => victim.started()))
  // So that it hears of all of them at once.
  listener.signal('SIGSTOP')
  const order: number[] = []
  shm.on('participant-lost', ({ pid }) => order.push(pid))
  await Promise.all(victims.map((victim) => victim.kill()))
  await Promise.all(victims.map((victim) => deaths.of(victim)))
  listener.signal('SIGCONT')
  const { thrown, throwing, second, once } = await listener.hear<Heard>()
  t.deepEqual(throwing, order)
  t.deepEqual(second, order)
  t.deepEqual(once, order.slice(0, 1))
  t.deepEqual(thrown.toSorted(), ['once', ...order.map((pid) => `of a listener: ${pid}`)].toSorted())
  await listener.done()
})
