import { invalidArgument, hasCode, misuse } from '../../errors.js'
import { BufferPtr } from '../../memory/buffer-ptr.js'
import { discard, putBack } from '../../memory/discard.js'
import type { Progress } from '../../queue/progress.js'
import type { JsCounts } from './js-counts.js'
import type { JsOutput } from '../block/js-port.js'
import { ObjectQueue } from './object-queue.js'
import type { QueueEnd, Route } from './own-queue.js'
import type { Destination, Part } from './parts.js'
import { doneUpTo, partsOf, targetOf } from './parts.js'
import { describeIssues } from '../../codec/standard-schema.js'
import { buffers } from '../block/type.js'

/** What a block of JavaScript sends at one of its outputs: every value to every input, to each queue in order. */
export class Outlet {
  readonly #port: JsOutput<unknown>
  readonly #destinations: readonly Destination[]
  readonly #counts: JsCounts
  /** Where everything goes, if nothing is to be done with it. */
  readonly #only: ObjectQueue | undefined

  constructor(port: JsOutput<unknown>, routes: readonly Route[], counts: JsCounts) {
    this.#port = port
    this.#destinations = routes.map(({ ends, choose }) => ({
      targets: ends.map(({ queue }) => targetOf(port.type, queue)),
      choose,
    }))
    this.#counts = counts
    const [{ queue }, ...others] = routes.flatMap(({ ends }) => ends) as [QueueEnd, ...QueueEnd[]]
    const isPlain = others.length === 0 && port.type.schema === undefined
    this.#only = isPlain && queue instanceof ObjectQueue ? queue : undefined
  }

  /** How many values the smallest of its queues has room for. */
  get capacity(): number {
    const queues = this.#destinations.flatMap(({ targets }) => targets.map(({ queue }) => queue))
    return Math.min(
      ...queues.map((queue) => (queue instanceof ObjectQueue ? queue.capacity : (queue.info?.capacity ?? Infinity))),
    )
  }

  /** Whether nobody takes anything any more. */
  get closed(): boolean {
    return this.#destinations.every(({ targets }) => targets.every((target) => target.closed))
  }

  /** Sends all of `values` at once, if that can be done, or does nothing. The list is not the caller's any more then. */
  trySend(values: readonly unknown[], signal: AbortSignal): boolean {
    if (this.#only === undefined || signal.aborted || !this.#only.tryPut(values)) return false
    this.#counts.add('itemsOut', values.length)
    return true
  }

  /**
   * Sends all of `values`; resolves when they are in the queues. `progress` says, also when it throws, of how many of the first nothing is
   * left to be sent.
   */
  async send(values: readonly unknown[], signal: AbortSignal, progress: Progress): Promise<void> {
    if (!Array.isArray(values)) throw invalidArgument(`what ${this.#port.label} sends`, 'an array', values)
    if (values.length === 0) return
    let parts: readonly Part[] = []
    let valid = 0
    try {
      const { checked, failure } = await this.#check(values)
      parts = this.#partsOf(checked)
      valid = checked.length
      await this.#sendParts(parts, signal)
      if (failure !== undefined) throw failure.error
    } finally {
      const sent = parts.reduce((sum, part) => sum + part.progress.done, 0)
      this.#counts.unsent(values.length * this.#destinations.length - sent)
      progress.done = Math.min(valid, ...parts.map(doneUpTo))
      if (this.#port.type === buffers) this.#letGo(values, parts)
    }
  }

  /** Lets go of `values`, which are not sent. */
  lose(values: readonly unknown[]): void {
    for (const { targets } of this.#destinations) {
      if (targets.every(({ closed }) => closed)) this.#counts.add('undelivered', values.length)
      else this.#counts.unsent(values.length)
    }
    if (this.#port.type === buffers) this.#letGo(values, [])
  }

  async #sendParts(parts: readonly Part[], signal: AbortSignal): Promise<void> {
    const [first, ...others] = parts
    if (first === undefined) return
    if (others.length === 0) return await this.#sendPart(first, signal)
    const ends = await Promise.allSettled(parts.map((part) => this.#sendPart(part, signal)))
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** What a queue does not take any more is counted. */
  async #sendPart({ target, values, progress }: Part, signal: AbortSignal): Promise<void> {
    try {
      if (!target.closed) await target.put(values, signal, progress)
    } catch (error) {
      const { session } = target.queue
      if (session.closed || !hasCode(error, 'ERR_MILLRACE_CLOSED', 'ERR_MILLRACE_DESTROYED')) throw error
      target.closed = true
    } finally {
      this.#counts.add('itemsOut', progress.done)
      if (target.closed) {
        this.#counts.add('undelivered', values.length - progress.done)
        progress.done = values.length
      }
    }
  }

  /** Buffers are moved; each input but the first gets a reference of its own. */
  #partsOf(values: readonly unknown[]): readonly Part[] {
    if (this.#port.type !== buffers) return this.#destinations.flatMap((destination) => partsOf(destination, values))
    const own = values.map((value) => this.#checkBuffer(value))
    const shared: BufferPtr[] = []
    const share = (buffer: BufferPtr) => {
      const reference = buffer.share()
      shared.push(reference)
      return reference
    }
    try {
      return this.#destinations.flatMap((destination, at) => partsOf(destination, at === 0 ? own : own.map(share)))
    } catch (error) {
      shared.forEach(discard)
      throw error
    }
  }

  #checkBuffer(value: unknown): BufferPtr {
    if (value instanceof BufferPtr) return value
    throw misuse(`${this.#port.label} sends buffers, and was given ${typeof value}`)
  }

  /** Buffers that were not sent. A message that the block has taken goes back with the others that it has taken. */
  #letGo(values: readonly unknown[], parts: readonly Part[]): void {
    const own = new Set(values)
    for (const part of parts) for (const value of part.values) if (!own.has(value)) discard(value)
    for (const value of values) {
      if (!(value instanceof BufferPtr) || value.released) continue
      if (this.#counts.isSource) putBack(value)
      else if (value.attempt === 0) discard(value)
    }
  }

  /** What the validator makes of `values`, up to the first that it refuses. */
  async #check(values: readonly unknown[]): Promise<{ checked: readonly unknown[]; failure?: { error: unknown } }> {
    const { schema, name } = this.#port.type
    if (schema === undefined) return { checked: values }
    const checked: unknown[] = []
    try {
      for (const value of values) {
        let result = schema['~standard'].validate(value)
        if (result instanceof Promise) result = await result
        if (result.issues !== undefined) {
          const message = `${this.#port.label} sends no "${name}": ${describeIssues(result.issues)}`
          throw misuse(message)
        }
        checked.push(result.value)
      }
    } catch (error) {
      return { checked, failure: { error } }
    }
    return { checked }
  }
}
