import { hasCode, misuse } from '../errors.js'
import { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { JsCounts } from './js-counts.js'
import type { JsOutput } from './js-port.js'
import type { Route } from './own-queue.js'
import { describeIssues } from './standard-schema.js'
import { buffers } from './type.js'

/** A queue that an output sends to. */
interface Target {
  readonly queue: PortQueue<unknown>
  /** Nobody takes anything any more. */
  closed: boolean
}

/** An input that an output is linked to: one queue, or several, of which each message goes to one. */
interface Destination {
  readonly targets: readonly Target[]
  readonly choose: Route['choose']
}

/** What a block of JavaScript sends at one of its outputs: every value to every input, to each queue in order. */
export class Outlet {
  readonly #port: JsOutput<unknown>
  readonly #destinations: readonly Destination[]
  readonly #targets: readonly Target[]
  readonly #counts: JsCounts

  constructor(port: JsOutput<unknown>, routes: readonly Route[], counts: JsCounts) {
    this.#port = port
    this.#destinations = routes.map(({ ends, choose }) => ({
      targets: ends.map(({ queue }) => ({ queue, closed: false })),
      choose,
    }))
    this.#targets = this.#destinations.flatMap(({ targets }) => targets)
    this.#counts = counts
  }

  /** Whether nobody takes anything any more. */
  get closed(): boolean {
    return this.#targets.every((target) => target.closed)
  }

  /** Sends all of `values`; resolves when they are in the queues. */
  async send(values: readonly unknown[], signal: AbortSignal): Promise<void> {
    if (values.length === 0) return
    const checked = this.#port.type.schema === undefined ? values : await this.#check(values)
    if (this.#port.type === buffers) return await this.#sendBuffers(checked, signal)
    const [only, ...others] = this.#targets
    if (others.length === 0) return await this.#put(only!, checked, signal)
    const parts = this.#destinations.flatMap((destination) => partsOf(destination, checked))
    await Promise.all(parts.map(([target, part]) => this.#put(target, part, signal)))
  }

  #put(target: Target, values: readonly unknown[], signal: AbortSignal): Promise<void> {
    return this.#guard(target, values.length, () => target.queue.putMany(values, { signal }))
  }

  /** Buffers are moved; each input but the first gets a reference of its own. */
  async #sendBuffers(values: readonly unknown[], signal: AbortSignal): Promise<void> {
    for (const value of values) {
      if (value instanceof BufferPtr) continue
      throw misuse(`${this.#port.label} sends buffers, and was given ${typeof value}`)
    }
    const own = values as readonly BufferPtr[]
    const lists = this.#destinations.map((_, at) => (at === 0 ? own : own.map((buffer) => buffer.share())))
    const parts = lists.map((list, at) => {
      try {
        return partsOf(this.#destinations[at]!, list)
      } catch (error) {
        lists.flat().forEach(discard)
        throw error
      }
    })
    await Promise.all(parts.flat().map(([target, part]) => this.#moveAll(target, part, signal)))
  }

  async #moveAll(target: Target, list: readonly BufferPtr[], signal: AbortSignal): Promise<void> {
    try {
      await this.#guard(target, list.length, async () => {
        for (let sent = 0; sent < list.length;) {
          sent += target.queue.sendMany(list.slice(sent))
          if (sent < list.length) await target.queue.send(list[sent++]!, { signal })
        }
      })
    } finally {
      list.forEach(discard)
    }
  }

  /** What a queue does not take any more is let go of, and counted. */
  async #guard(target: Target, count: number, send: () => Promise<void>): Promise<void> {
    if (target.closed) return this.#counts.add('undelivered', count)
    try {
      await send()
      this.#counts.add('itemsOut', count)
    } catch (error) {
      const { session } = target.queue
      if (session.closed || !hasCode(error, 'ERR_MILLRACE_CLOSED', 'ERR_MILLRACE_DESTROYED')) throw error
      target.closed = true
      this.#counts.add('undelivered', count)
    }
  }

  /** What the validator makes of `values`. */
  async #check(values: readonly unknown[]): Promise<unknown[]> {
    const { schema } = this.#port.type
    const checked: unknown[] = []
    for (const value of values) {
      let result = schema!['~standard'].validate(value)
      if (result instanceof Promise) result = await result
      if (result.issues !== undefined) {
        const message = `${this.#port.label} sends no '${this.#port.type.name}': ${describeIssues(result.issues)}`
        throw misuse(message)
      }
      checked.push(result.value)
    }
    return checked
  }
}

/** What of `values` goes to which queue. */
function partsOf<V>({ targets, choose }: Destination, values: readonly V[]): (readonly [Target, readonly V[]])[] {
  if (choose === undefined) return [[targets[0]!, values]]
  const parts = targets.map((target) => [target, [] as V[]] as const)
  for (const value of values) parts[choose(value)]![1].push(value)
  return parts.filter(([, part]) => part.length > 0)
}
