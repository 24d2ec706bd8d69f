// Events that are taken because somebody asks for one who has left are told to those who listen later.
import test, { type ExecutionContext } from 'ava'
import { Events } from '../../lib/session/events.js'
import { openNative, type TestDomain, testDomain } from '../helpers/domain.js'

/** The events of a domain as one participant sees them. */
function eventsOf(t: ExecutionContext, domain: TestDomain): Events {
  const native = openNative(domain)
  t.teardown(() => native.close())
  return new Events((operation) => operation(native))
}

/** Somebody comes and goes. */
function visit(domain: TestDomain, name: string): number {
  const visitor = domain.open({ name })
  const { participant } = visitor
  visitor.close()
  return participant
}

test('who is looked for stays to be told, once', (t) => {
  const domain = testDomain(t)
  domain.open()
  const log = eventsOf(t, domain)
  t.false(log.waiting)
  const slot = visit(domain, 'first')
  t.like(
    log.findLeft((one) => one.slot === slot),
    { name: 'first', pid: process.pid, change: 'closed' },
  )
  t.true(log.waiting)
  visit(domain, 'second')
  t.deepEqual(
    log.takeUntold().map(({ name, change }) => `${name} ${change}`),
    ['first joined', 'first closed', 'second joined', 'second closed'],
  )
  t.false(log.waiting)
  t.is(log.findLeft((one) => one.slot === slot)?.name, 'second')
  t.is(
    log.findLeft((one) => one.slot === slot + 1),
    undefined,
  )
  t.deepEqual(log.takeUntold(), [])
})

test('what nobody listens to is bounded, and counted as missed', (t) => {
  const domain = testDomain(t)
  domain.open()
  const log = eventsOf(t, domain)
  for (let i = 0; i < 150; i++) {
    visit(domain, `visitor ${i}`)
    // Sooner than the domain forgets any.
    if (i % 50 === 49) t.is(log.findLeft(() => true)?.name, `visitor ${i}`)
  }
  const told = log.takeUntold()
  t.deepEqual(
    told.map(({ missed }) => missed),
    [2 * 150 - 256, ...Array.from({ length: 255 }, () => 0)],
  )
  t.is(told.at(-1)!.name, 'visitor 149')
})
