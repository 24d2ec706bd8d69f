import { MillraceError } from '../../errors.js'
import type { Overflow } from '../../native/words.js'
import type { Progress } from '../../queue/progress.js'
import type { Limits } from '../../session/limits.js'
import { limitsOf } from '../../session/limits.js'
import type { Taken } from '../../session/pull-iterator.js'
import type { Session } from '../../session/session.js'
import { WaitList } from '../../session/wait-list.js'
import type { LinkStats } from '../block/stats.js'

/** Options of an {@link ObjectQueue}. */
export interface ObjectQueueOptions {
  readonly capacity?: number
  readonly overflow?: Overflow
}

/** Values that were taken together. */
export interface Objects {
  readonly values: readonly unknown[]
  /** How many were dropped before the first. */
  readonly gap: number
}

const CAPACITY_DEFAULT = 1024

/** A bounded queue of values that do not leave their event loop. They are kept in the lists that they came in: nothing is done for one. */
export class ObjectQueue {
  /** @internal */
  readonly session: Session
  /** What errors call it. */
  readonly name: string
  /** How many values it has room for. */
  readonly capacity: number
  readonly #overflow: Overflow
  readonly #lists: (readonly unknown[])[] = []
  /** What of the first list has been taken, or dropped. */
  #taken = 0
  #depth = 0
  /** Values dropped since the last that was taken. */
  #gap = 0
  readonly #counts = { highWater: 0, sent: 0, dropped: 0, sendWaits: 0, receiveWaits: 0 }
  #end: 'CLOSED' | 'DESTROYED' | undefined
  readonly #senders = new WaitList(() => this.#senders.pump())
  readonly #takers = new WaitList(() => this.#takers.pump())

  constructor(session: Session, name: string, { capacity = CAPACITY_DEFAULT, overflow = 'block' }: ObjectQueueOptions) {
    this.session = session
    this.name = name
    this.capacity = overflow === 'latest' ? 1 : 2 ** Math.ceil(Math.log2(capacity))
    this.#overflow = overflow
  }

  /** What has been counted of it. */
  get stats(): Omit<LinkStats, 'from' | 'to'> {
    const { name, capacity } = this
    return { queue: name, capacity, depth: this.#depth, ...this.#counts, oldest: null }
  }

  /** What has been put and not taken. */
  get leftover(): { readonly lost: number; readonly gaps: number } {
    return { lost: this.#depth, gaps: this.#gap }
  }

  /** Puts all of `values` if that can be done now, or does nothing. The list is the queue's then. */
  tryPut(values: readonly unknown[]): boolean {
    const waits = this.#overflow === 'block' || this.#overflow === 'reject'
    if (this.#end !== undefined || this.#senders.size > 0) return false
    return (!waits || values.length <= this.capacity - this.#depth) && this.#put(values, { done: 0 })
  }

  /**
   * Puts `values`, in order, waiting while it is full. `progress` says, also when it throws, how many have been put, or dropped.
   * @throws `MillraceError` `ERR_MILLRACE_CLOSED`, `_DESTROYED`, `_FULL` (overflow policy `reject` only)
   */
  async put(values: readonly unknown[], signal: AbortSignal, progress: Progress): Promise<void> {
    signal.throwIfAborted()
    // What becomes of the list of the caller is its own affair.
    const own = values.slice()
    if (this.#senders.size === 0 && this.#put(own, progress)) return
    this.#counts.sendWaits++
    const attempt = () => (this.#put(own, progress) ? true : undefined)
    await this.#senders.add(attempt, limitsOf({ signal }), `no space came free on ${this.name}`)
  }

  /** Takes up to `max`. @throws `MillraceError` `ERR_MILLRACE_DESTROYED` */
  take(max: number): Taken<Objects> {
    if (this.#end === 'DESTROYED') throw this.#failure()
    if (this.#depth === 0) return this.#end === undefined ? undefined : null
    const parts: (readonly unknown[])[] = []
    for (let left = max; left > 0 && this.#lists.length > 0; left -= parts.at(-1)!.length) parts.push(this.#shift(left))
    const taken = { values: parts.length === 1 ? parts[0]! : ([] as unknown[]).concat(...parts), gap: this.#gap }
    this.#gap = 0
    this.#senders.pump()
    return taken
  }

  /** The same, waiting while there are none. Null: it is closed and empty. */
  async wait(max: number, limits: Limits): Promise<Objects | null> {
    const taken = this.#takers.size === 0 ? this.take(max) : undefined
    if (taken !== undefined) return taken
    this.#counts.receiveWaits++
    return await this.#takers.add<Objects | null>(() => this.take(max), limits, `no value arrived on ${this.name}`)
  }

  /** Nothing more is put; what is left can be taken. */
  close(): void {
    this.#finish('CLOSED')
    this.#takers.pump()
  }

  /** Nothing is put or taken any more. */
  destroy(): void {
    this.#finish('DESTROYED')
    this.#takers.failAll(this.#failure())
  }

  #finish(end: 'CLOSED' | 'DESTROYED'): void {
    if (this.#end !== 'DESTROYED') this.#end = end
    this.#senders.failAll(this.#failure())
  }

  #failure(): MillraceError {
    const how = this.#end === 'CLOSED' ? 'is closed' : 'was destroyed'
    return new MillraceError(`ERR_MILLRACE_${this.#end!}`, `${this.name} ${how}`)
  }

  /** Puts what it has room for. True: that is all, or the others are dropped. */
  #put(values: readonly unknown[], progress: Progress): boolean {
    if (this.#end !== undefined) throw this.#failure()
    const drops = this.#overflow === 'drop-oldest' || this.#overflow === 'latest'
    const excess = values.length - progress.done - (this.capacity - this.#depth)
    if (drops && excess > 0) this.#dropOldest(Math.min(excess, this.#depth))
    // Of those that have no room even in an empty queue, the oldest are dropped, too.
    const from = Math.max(progress.done, drops ? values.length - this.capacity : 0)
    this.#dropNew(from - progress.done)
    const end = Math.min(values.length, from + this.capacity - this.#depth)
    this.#append(end - from === values.length ? values : values.slice(from, end))
    progress.done = end
    if (end === values.length) return true
    if (this.#overflow === 'block') return false
    if (this.#overflow === 'reject') throw new MillraceError('ERR_MILLRACE_FULL', `${this.name} is full`)
    this.#dropNew(values.length - end)
    progress.done = values.length
    return true
  }

  #append(list: readonly unknown[]): void {
    if (list.length === 0) return
    this.#lists.push(list)
    this.#depth += list.length
    this.#counts.sent += list.length
    this.#counts.highWater = Math.max(this.#counts.highWater, this.#depth)
    this.#takers.pump()
  }

  #drop(count: number): void {
    this.#gap += count
    this.#counts.dropped += count
  }

  /** So many that are put have no room. */
  #dropNew(count: number): void {
    this.#counts.sent += count
    this.#drop(count)
  }

  #dropOldest(count: number): void {
    this.#drop(count)
    for (let left = count; left > 0;) left -= this.#shift(left).length
  }

  /** Removes up to `max` values, all from the first list, of which there is one. */
  #shift(max: number): readonly unknown[] {
    const list = this.#lists[0]!
    const end = Math.min(list.length, this.#taken + max)
    const values = end - this.#taken === list.length ? list : list.slice(this.#taken, end)
    this.#depth -= values.length
    this.#taken = end
    if (end === list.length) {
      this.#lists.shift()
      this.#taken = 0
    }
    return values
  }
}
