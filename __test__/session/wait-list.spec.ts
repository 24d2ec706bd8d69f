import { getEventListeners } from 'node:events'
import test from 'ava'
import { Cancel, onAbort } from '../../lib/session/cancel.js'
import { hasEnded, limitsOf, UNLIMITED } from '../../lib/session/limits.js'
import { Semaphore } from '../../lib/session/semaphore.js'
import { HoldCount, WaitList } from '../../lib/session/wait-list.js'
import { rejectsCode, throwsCode } from '../helpers/errors.js'

/** A list of waits for numbers, which are given to it. */
function numbers(holds = new HoldCount()) {
  const there: number[] = []
  const list = new WaitList(() => list.pump(), holds)
  return {
    list,
    /** Who tried, in order. */
    tried: [] as string[],
    wait(who: string, limits = UNLIMITED): Promise<number> {
      const attempt = () => {
        this.tried.push(who)
        return there.shift()
      }
      return list.add(attempt, limits, 'no number came')
    },
    give(...given: number[]): void {
      there.push(...given)
      list.pump()
    },
  }
}

test('who waits longest is served first, and only the first tries', async (t) => {
  const line = numbers()
  const waits = [line.wait('a'), line.wait('b'), line.wait('c')]
  line.give()
  t.deepEqual(line.tried, ['a'])
  line.give(1, 2)
  t.deepEqual(await Promise.all(waits.slice(0, 2)), [1, 2])
  t.deepEqual(line.tried, ['a', 'a', 'b', 'c'])
  t.is(line.list.size, 1)
  line.give(3)
  t.is(await waits[2], 3)
})

test('when the first leaves, the next may go on', async (t) => {
  const cancel = new Cancel()
  const open = { room: 1 }
  const list = new WaitList(() => list.pump())
  const first = list.add(() => (open.room >= 2 ? 'large' : undefined), { ...UNLIMITED, cancel }, 'no room for two')
  const second = list.add(() => (open.room >= 1 ? 'small' : undefined), UNLIMITED, 'no room for one')
  list.pump()
  t.is(list.size, 2)
  cancel.cancel('enough')
  t.is(await first.catch((reason: unknown) => reason), 'enough')
  t.is(await second, 'small')
})

test('an attempt that throws ends its own wait', async (t) => {
  const list = new WaitList(() => list.pump())
  const failing = list.add(
    () => {
      throw new Error('broken')
    },
    UNLIMITED,
    'nothing',
  )
  const next = list.add(() => 'next', UNLIMITED, 'nothing')
  list.pump()
  await t.throwsAsync(failing, { message: 'broken' })
  t.is(await next, 'next')
})

test('at its timeout the first tries once more, the others do not', async (t) => {
  const line = numbers()
  const limits = limitsOf({ timeout: 20 })
  const waits = [line.wait('a', limits), line.wait('b', limits)]
  // It has come, but nobody was told: as when the event loop was busy elsewhere.
  const there = [7]
  const late = new WaitList(() => late.pump())
  const served = late.add(() => there.shift(), limits, 'no number came')
  const starved = late.add(() => there.shift(), limits, 'no number came')
  await rejectsCode(t, waits[0]!, 'ERR_MILLRACE_TIMEOUT', 'no number came within 20 ms')
  await rejectsCode(t, waits[1]!, 'ERR_MILLRACE_TIMEOUT', 'no number came within 20 ms')
  t.is(await served, 7)
  await rejectsCode(t, starved, 'ERR_MILLRACE_TIMEOUT')
  t.is(late.size, 0)
})

test('nothing of a wait outlives it, whichever way it ends', async (t) => {
  const holds = new HoldCount()
  const controller = new AbortController()
  const cancel = new Cancel()
  const limits = { ...limitsOf({ signal: controller.signal, timeout: 60_000 }, cancel) }
  const line = numbers(holds)
  const served = line.wait('served', limits)
  const aborted = line.wait('aborted', limits)
  const unheld = line.wait('unheld', { ...limits, hold: false })
  t.is(holds.count, 2)
  t.is(getEventListeners(controller.signal, 'abort').length, 1)
  line.give(1)
  t.is(await served, 1)
  t.is(holds.count, 1)
  controller.abort('enough')
  t.is(await aborted.catch((reason: unknown) => reason), 'enough')
  t.is(await unheld.catch((reason: unknown) => reason), 'enough')
  t.is(holds.count, 0)
  t.is(getEventListeners(controller.signal, 'abort').length, 0)
  const failed = [line.wait('first'), line.wait('second')]
  line.list.failFirst(new Error('first'))
  await t.throwsAsync(failed[0]!, { message: 'first' })
  line.list.failAll(new Error('all'))
  await t.throwsAsync(failed[1]!, { message: 'all' })
  t.is(holds.count, 0)
  // Ends that come late find nobody.
  cancel.cancel()
  line.give(2)
})

test('a semaphore lets so many in, and gives room to whoever waits longest', async (t) => {
  const room = new Semaphore(2, 'no room')
  t.false(room.busy)
  t.true(room.tryEnter())
  await room.enter(UNLIMITED)
  t.false(room.tryEnter())
  const order: string[] = []
  const enter = async (who: string, limits = UNLIMITED) => {
    await room.enter(limits)
    order.push(who)
  }
  const controller = new AbortController()
  const waiting = [enter('a'), enter('b', limitsOf({ signal: controller.signal })), enter('c')]
  const late = enter('late', limitsOf({ timeout: 5 }))
  await rejectsCode(t, late, 'ERR_MILLRACE_TIMEOUT', 'no room within 5 ms')
  controller.abort(new Error('gone'))
  await t.throwsAsync(waiting[1]!, { message: 'gone' })
  room.leave()
  await waiting[0]
  // Room that comes free belongs to those who wait, not to who happens to ask.
  room.leave()
  t.false(room.tryEnter())
  await waiting[2]
  t.deepEqual(order, ['a', 'c'])
  room.leave()
  room.leave()
  t.false(room.busy)
})

test('limits are taken once: all steps of a call share one deadline', (t) => {
  t.is(limitsOf(undefined), UNLIMITED)
  const before = performance.now()
  const { deadline, timeout } = limitsOf({ timeout: 50 })
  t.is(timeout, 50)
  t.true(deadline >= before + 50 && deadline <= performance.now() + 50)
  t.is(limitsOf({}).deadline, Infinity)
  t.is(limitsOf({ timeout: Infinity }).deadline, Infinity)
  for (const wrong of [-1, NaN, 2 ** 31, '1' as never]) {
    throwsCode(t, () => limitsOf({ timeout: wrong }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'timeout')
  }
  throwsCode(t, () => limitsOf(null as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'options')
  throwsCode(t, () => limitsOf({ signal: {} as never }), 'ERR_MILLRACE_INVALID_ARGUMENT', 'signal')
  const reason = new Error('before')
  t.is(
    t.throws(() => limitsOf({ signal: AbortSignal.abort(reason) })),
    reason,
  )
})

test('who has ended: by the signal, or by its object', (t) => {
  const cancel = new Cancel()
  const controller = new AbortController()
  const limits = limitsOf({ signal: controller.signal }, cancel)
  t.false(hasEnded(limits))
  cancel.cancel('by the object')
  cancel.cancel('later')
  t.is(cancel.reason, 'by the object')
  t.true(hasEnded(limits))
  const aborted = limitsOf({ signal: controller.signal })
  controller.abort()
  t.true(hasEnded(aborted))
})

test('who is ended before the wait begins is not added, and nothing stays behind', async (t) => {
  const waits = numbers()
  const cancel = new Cancel()
  const controller = new AbortController()
  const limits = limitsOf({ signal: controller.signal, timeout: 10_000 }, cancel)
  controller.abort('by the signal')
  t.is(await waits.wait('aborted', limits).catch((reason: unknown) => reason), 'by the signal')
  cancel.cancel('by the object')
  t.is(await waits.wait('cancelled', { ...UNLIMITED, cancel }).catch((reason: unknown) => reason), 'by the object')
  t.is(waits.list.size, 0)
  t.deepEqual(waits.tried, [])
  t.is(getEventListeners(controller.signal, 'abort').length, 0)
})

test('a callback for an end that has come is called at once', (t) => {
  const told: string[] = []
  const cancel = new Cancel()
  cancel.cancel()
  cancel.onCancel(() => told.push('cancel'))()
  onAbort(AbortSignal.abort(), () => told.push('abort'))()
  t.deepEqual(told, ['cancel', 'abort'])
})
