import test from 'ava'
import type { Limits } from '../../lib/session/limits.js'
import { PullIterator, type PullSource, type Taken } from '../../lib/session/pull-iterator.js'
import { WaitList } from '../../lib/session/wait-list.js'
import { rejectsCode } from '../helpers/errors.js'

interface Numbered {
  readonly number: number
}

/** A source of numbers that are given to it: what has become of each is known. */
class Numbers implements PullSource<Numbered> {
  readonly released: number[] = []
  readonly givenBack: number[] = []
  ends = 0
  readonly #there: (number | null | Error)[] = []
  readonly #list = new WaitList(() => this.#list.pump())

  give(...items: (number | null | Error)[]): void {
    this.#there.push(...items)
    this.#list.pump()
  }

  get left(): number {
    return this.#there.length
  }

  take(done?: Numbered): Taken<Numbered> {
    if (done !== undefined) this.release(done)
    const item = this.#there[0]
    // The end is there for everybody.
    if (item !== null) this.#there.shift()
    if (item instanceof Error) throw item
    return typeof item === 'number' ? { number: item } : item
  }

  wait(limits: Limits): Promise<Numbered | null> {
    const item = this.#list.add(() => this.take(), limits, 'no number came')
    this.#list.pump()
    return item
  }

  release({ number }: Numbered): void {
    this.released.push(number)
  }

  giveBack({ number }: Numbered): void {
    this.givenBack.push(number)
  }

  end(): void {
    this.ends++
  }
}

const one = (number: number) => ({ value: { number }, done: false })
const END = { value: undefined, done: true }
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('an item is let go of by the next call, the last one by the end', async (t) => {
  const source = new Numbers()
  const items = new PullIterator(source)
  source.give(1, 2, null)
  t.deepEqual(await items.next(), one(1))
  t.deepEqual(source.released, [])
  t.deepEqual(await items.next(), one(2))
  t.deepEqual(source.released, [1])
  t.deepEqual(await items.next(), END)
  t.deepEqual(source.released, [1, 2])
  t.is(source.ends, 1)
  t.deepEqual(await items.next(), END)
  t.deepEqual(await items.return(), END)
  t.is(source.ends, 1)
})

test('calls that overlap are served in their order, and nothing is let go of that its caller has not seen', async (t) => {
  const source = new Numbers()
  const items = new PullIterator(source)
  const calls = [items.next(), items.next(), items.next()]
  source.give(1)
  t.deepEqual(await calls[0], one(1))
  source.give(2, 3)
  t.deepEqual(await Promise.all(calls), [1, 2, 3].map(one))
  t.deepEqual(source.released, [])
  const more = [items.next(), items.next()]
  t.deepEqual(new Set(source.released), new Set([1, 2, 3]))
  source.give(4, null)
  t.deepEqual(await Promise.all(more), [one(4), END])
  await items.return()
  t.is(source.released.length, 3)
  t.deepEqual(source.givenBack, [4])
})

test('a loop that is left gives back what it has, in order', async (t) => {
  const source = new Numbers()
  const left = new PullIterator(source)
  const calls = [left.next(), left.next(), left.next()]
  source.give(1, 2, 3, 4)
  await Promise.all(calls)
  t.deepEqual(await left.return(), END)
  t.deepEqual(source.released, [])
  t.deepEqual(source.givenBack, [1, 2, 3])
  t.is(source.left, 1)
})

test('return ends waits under way, and takes nothing', async (t) => {
  const source = new Numbers()
  const items = new PullIterator(source)
  const calls = [items.next(), items.next()]
  t.deepEqual(await items.return(), END)
  t.deepEqual(await Promise.all(calls), [END, END])
  source.give(1)
  await turn()
  t.is(source.left, 1)
  t.deepEqual(await items.next(), END)
  t.is(source.left, 1)
  t.is(source.ends, 1)
})

test('an item that came just before the loop was left is given back', async (t) => {
  const source = new Numbers()
  const items = new PullIterator(source)
  const call = items.next()
  await turn()
  // The wait has its item, and its caller has not run on yet.
  source.give(1)
  const left = items.return()
  t.deepEqual(await call, END)
  await left
  t.deepEqual(source.givenBack, [1])
})

test('after an error it goes on', async (t) => {
  const source = new Numbers()
  const items = new PullIterator(source)
  source.give(new Error('one'), 1)
  await t.throwsAsync(items.next(), { message: 'one' })
  t.deepEqual(await items.next(), one(1))
  const waiting = items.next()
  const behind = items.next()
  source.give(new Error('two'), 2)
  await t.throwsAsync(waiting, { message: 'two' })
  t.deepEqual(await behind, one(2))
  await items.return()
  t.deepEqual(source.released, [1])
  t.deepEqual(source.givenBack, [2])
})

test('each wait has its own time', async (t) => {
  const source = new Numbers()
  const items = new PullIterator(source, { timeout: 15 })
  for (let i = 0; i < 2; i++) await rejectsCode(t, items.next(), 'ERR_MILLRACE_TIMEOUT', 'no number came within 15 ms')
  source.give(1)
  t.deepEqual(await items.next(), one(1))
  await items.return()
})

test('a signal ends it at once, while it waits and before', async (t) => {
  const source = new Numbers()
  const controller = new AbortController()
  const items = new PullIterator(source, { signal: controller.signal })
  source.give(1)
  await items.next()
  const waiting = items.next()
  controller.abort(new Error('enough'))
  await t.throwsAsync(waiting, { message: 'enough' })
  t.deepEqual(source.released, [1])
  source.give(2)
  await t.throwsAsync(items.next(), { message: 'enough' })
  t.is(source.left, 1)
})

test('what the loop sees may differ from what is let go of; when that throws, the item is gone', async (t) => {
  const source = new Numbers()
  const items = new PullIterator<Numbered, string>({
    take: (done) => source.take(done),
    wait: (limits) => source.wait(limits),
    release: (item) => source.release(item),
    value(item) {
      if (item.number !== 13) return `number ${item.number}`
      source.release(item)
      throw new Error('unlucky')
    },
  })
  source.give(1, 13, 2, null)
  t.deepEqual(await items.next(), { value: 'number 1', done: false })
  await t.throwsAsync(items.next(), { message: 'unlucky' })
  t.deepEqual(await items.next(), { value: 'number 2', done: false })
  t.deepEqual(await items.next(), END)
  t.deepEqual(source.released, [1, 13, 2])
})

test('a loop that always finds something lets the event loop turn, and is not lost over it', async (t) => {
  const source = new Numbers()
  const items = new PullIterator(source)
  const turns: number[] = []
  const timer = setInterval(() => turns.push(turns.length), 1)
  let expected = 0
  // For ever, if the loop keeps the event loop to itself.
  while (turns.length < 3) {
    source.give(expected)
    t.deepEqual(await items.next(), one(expected++))
  }
  clearInterval(timer)
  await items.return()
  t.is(source.released.length, expected - 1)
  t.deepEqual(source.givenBack, [expected - 1])
})
