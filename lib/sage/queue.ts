import { inspect, type InspectOptions } from 'node:util'
import type { Encoded } from '../codec/codec.js'
import { MillraceError } from '../errors.js'
import { byteLengthOf } from '../memory/store.js'
import { Sender } from '../queue/sender.js'
import { ValueWriter } from '../queue/value-writer.js'
import { Cancel } from '../session/cancel.js'
import { type Limits, limitsOf, type WaitOptions } from '../session/limits.js'
import type { Session } from '../session/session.js'
import { type QueueStats, queueStatsOf } from '../session/snapshot.js'
import { idleAt } from '../session/wait-key.js'
import { shown } from '../session/shown.js'
import { Getter } from './getter.js'
import { Namespace } from './namespace.js'
import type { SageQueueOptions } from './options.js'
import { checkQueueName, checkSageOptions } from './options.js'
import { entryOf, type SageQueueStats } from './stats.js'
import { WorkQueue } from './work-queue.js'

/**
 * A queue in the manner of Python's `queue.Queue`, between all processes and worker threads of this machine: values of any kind
 * in, values out, each to one getter. It is created by whoever opens it first, and lives as long as any process has its
 * namespace open, or until {@link SageQueue.destroy}.
 *
 * A value that was got is in work until {@link SageQueue.taskDone}: when its worker dies before, somebody else gets it, first in line.
 * Programs that never call `taskDone()` open it with `acknowledge: 'get'`; see {@link Acknowledge}.
 *
 * All calls throw `ERR_MILLRACE_DESTROYED` once somebody destroyed the queue, and `ERR_MILLRACE_CLOSED` once this end was
 * closed. An open queue does not keep the process alive; a wait under way does.
 */
export class SageQueue<T = unknown> implements Disposable {
  /** Its name in the namespace. */
  readonly name: string
  /** The tenant it belongs to; empty: none. */
  readonly namespace: string
  readonly #namespace: Namespace
  readonly #session: Session
  readonly #queue: WorkQueue<T>
  readonly #handle: number
  readonly #subject: string
  readonly #sender: Sender
  readonly #writer: ValueWriter
  readonly #getter: Getter<T>
  readonly #cancel = new Cancel()

  /**
   * Opens queue `name`, or creates it.
   * @param name 1 to 58 letters, digits, `.`, `_` or `-`, beginning with a letter or digit
   * @throws {@link MillraceError} `ERR_MILLRACE_OPTIONS_MISMATCH` when somebody has named another option
   */
  constructor(name: string, options?: SageQueueOptions<T>)
  /** @internal With `create` false it throws `ERR_MILLRACE_NOT_FOUND` unless the queue exists. */
  constructor(name: string, options: SageQueueOptions<T> | undefined, create: boolean)
  constructor(name: string, options: SageQueueOptions<T> = {}, create = true) {
    checkQueueName(name)
    const checked = checkSageOptions<T>(name, options)
    const namespace = Namespace.join(options)
    try {
      const subject = `queue "${name}"`
      const queue = WorkQueue[create ? 'open' : 'find'](namespace, name, checked)
      if (queue === undefined) throw new MillraceError('ERR_MILLRACE_NOT_FOUND', `there is no ${subject}`)
      const { session } = namespace
      this.name = name
      this.namespace = namespace.name
      this.#namespace = namespace
      this.#session = session
      this.#queue = queue
      this.#handle = queue.handle
      this.#subject = subject
      this.#sender = new Sender(session, queue.handle, subject)
      this.#writer = new ValueWriter(session, this.#sender, queue.handle)
      this.#getter = new Getter(namespace, queue, subject, this.#cancel)
    } catch (error) {
      namespace.leave()
      throw error
    }
  }

  /** Values it holds. */
  get maxsize(): number {
    return this.#queue.maxsize
  }

  /** Whether this end was closed. */
  get closed(): boolean {
    return this.#cancel.cancelled
  }

  /**
   * Puts `value`, as it is now, waiting while the queue is full (or memory is). Waiting puts of one end keep their order.
   * @throws {@link MillraceError} `ERR_MILLRACE_FULL` when `timeout` is over; `_CLOSED` after {@link SageQueue.shutdown};
   * `_TOO_LARGE` when it can never fit; what the codec throws when the value cannot be encoded
   */
  put(value: T, options?: WaitOptions): Promise<void> {
    try {
      const encoded = this.#encode(value)
      return this.#writer.put(
        encoded,
        this.#limits(options, (within) => this.#full(within)),
      )
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Puts `value` now. @throws {@link MillraceError} `ERR_MILLRACE_FULL` and as {@link SageQueue.put} */
  putNowait(value: T): void {
    const encoded = this.#encode(value)
    if (this.#sender.crowded || !this.#writer.tryPut(encoded)) throw this.#full('')
  }

  /**
   * Takes the next value, waiting while there is none. Calls of one end are served in their order.
   * @throws {@link MillraceError} `ERR_MILLRACE_EMPTY` when `timeout` is over; `_CLOSED` when the queue was shut down and is
   * drained; `_DECODE` when no value could be made of what came: that is in the dead letters then, and the next call goes on;
   * `_LIMIT` when so many values were got here and not finished that there is no place for another one
   */
  async get(options?: WaitOptions): Promise<T> {
    this.#checkOpen()
    return await this.#getter.get(this.#limits(options, (within) => this.#getter.nothing(within)))
  }

  /** Takes the next value now. @throws {@link MillraceError} `ERR_MILLRACE_EMPTY` and as {@link SageQueue.get} */
  getNowait(): T {
    this.#checkOpen()
    const got = this.#getter.tryGet()
    if (got === undefined) throw this.#getter.nothing()
    return got[0]
  }

  /** The next value, which stays in the queue. @throws {@link MillraceError} `ERR_MILLRACE_EMPTY`, `_DECODE` */
  peek(): T {
    this.#checkOpen()
    const next = this.#getter.peek()
    if (next === undefined) throw this.#getter.nothing()
    return next[0]
  }

  /** Values in it now. */
  qsize(): number {
    this.#checkOpen()
    return this.#session.call((native) => native.depth(this.#handle)) ?? this.#destroyed()
  }

  /** Whether there is nothing in it now. */
  empty(): boolean {
    return this.qsize() === 0
  }

  /** Whether it holds its maxsize now. */
  full(): boolean {
    return this.qsize() >= this.maxsize
  }

  /**
   * Says that a value this end got is finished: `value`, or without an argument the oldest one. With several workers at one end
   * name it: the oldest may be in work still.
   * @throws {@link MillraceError} `ERR_MILLRACE_NOT_HELD` when called more often than values were got
   */
  taskDone(...value: [] | [value: T]): void {
    this.#checkOpen()
    this.#getter.unacknowledged.take(value, 'taskDone').release()
  }

  /**
   * Puts a value this end got, `value` or the oldest one, back to the head of the queue.
   * @throws {@link MillraceError} `ERR_MILLRACE_NOT_HELD` when it was not got here, or is finished
   */
  giveBack(...value: [] | [value: T]): void {
    this.#checkOpen()
    this.#getter.unacknowledged.take(value, 'giveBack').nack()
  }

  /**
   * Waits until every value that was put, in whatever process, has been got and finished: the queue is empty and nobody has
   * anything in work. What a worker had when it died is not finished: it comes back.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`
   */
  async join(options?: WaitOptions): Promise<void> {
    this.#checkOpen()
    const what = `${this.#subject} was not finished`
    const isIdle = () => this.#session.call((native) => native.isIdle(this.#handle) ?? this.#destroyed()) || undefined
    await this.#session.waits.wait(idleAt(this.#handle), limitsOf(options, this.#cancel), what, isIdle)
  }

  /** What it is now. */
  getStats(): SageQueueStats {
    const stats = this.#stats()
    const { sent: put, received: got, redelivered } = stats
    const inWorkHere = this.#getter.unacknowledged.size
    return { ...entryOf(stats), namespace: this.namespace, inWorkHere, put, got, redelivered }
  }

  /** No more, for everybody: puts fail, getters drain what is left and end with `ERR_MILLRACE_CLOSED`. Idempotent. */
  shutdown(): void {
    this.#checkOpen()
    this.#session.call((native) => native.closeQueue(this.#handle))
  }

  /** Removes the queue for everybody, with what is in it, and closes this end. Its dead letters stay. Idempotent. */
  destroy(): void {
    if (this.closed) return
    this.#session.call((native) => native.destroyQueue(this.#handle))
    this.close()
  }

  /**
   * Closes this end: its waits end with `ERR_MILLRACE_CLOSED`, and what was got and is not finished goes back. Others are not
   * concerned. Idempotent.
   */
  close(): void {
    if (this.closed) return
    this.#cancel.cancel(this.#closedError())
    try {
      this.#getter.close()
      this.#queue.close()
    } finally {
      this.#namespace.leave()
    }
  }

  /** The same as {@link SageQueue.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return shown('SageQueue', this.name, () => (this.closed ? { closed: true } : this.getStats()), options)
  }

  #encode(value: T): Encoded {
    this.#checkOpen()
    const encoded = this.#queue.codecToPut.encode(value)
    const bytes = byteLengthOf(encoded)
    const { maxBytes } = this.#namespace
    if (bytes <= maxBytes) return encoded
    throw new MillraceError(
      'ERR_MILLRACE_TOO_LARGE',
      `a value of ${bytes} bytes for ${this.#subject} is more than maxBytes, ${maxBytes}`,
    )
  }

  #stats(): QueueStats {
    this.#checkOpen()
    return queueStatsOf(this.#session, this.#handle) ?? this.#destroyed()
  }

  /** The limits that `options` set from now on; a wait whose time is over is rejected with what `expired` returns. */
  #limits(options: WaitOptions | undefined, expired: (within: string) => MillraceError): Limits {
    const limits = limitsOf(options, this.#cancel)
    const { timeout } = limits
    return timeout === Infinity ? limits : { ...limits, expired: () => expired(` within ${Math.ceil(timeout)} ms`) }
  }

  /** Why nothing more goes in, at once or `within` some time. */
  #full(within: string): MillraceError {
    const { closed, depth } = this.#stats()
    if (closed) return new MillraceError('ERR_MILLRACE_CLOSED', `${this.#subject} was shut down`)
    const why = depth < this.maxsize ? 'memory is used up' : `it has ${depth} of ${this.maxsize} values`
    return new MillraceError('ERR_MILLRACE_FULL', `${this.#subject} took no more${within}: ${why}`)
  }

  #checkOpen(): void {
    if (this.closed) throw this.#closedError()
  }

  #closedError(): MillraceError {
    return new MillraceError('ERR_MILLRACE_CLOSED', `this end of ${this.#subject} was closed`)
  }

  #destroyed(): never {
    throw new MillraceError('ERR_MILLRACE_DESTROYED', `${this.#subject} was destroyed`)
  }
}
