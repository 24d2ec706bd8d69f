import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { Encoded, NamedCodec } from '../codec/codec.js'
import { codecOf } from '../codec/codec.js'
import { invalidArgument, MillraceError, show } from '../errors.js'
import { MAX_QUEUE_CAPACITY } from '../native/generated/limits.js'
import { checkInteger, checkObject, checkSignal } from '../options.js'
import type { PortQueue } from '../queue/port-queue.js'
import { Bell } from './signal.js'
import type { Member } from './namespace.js'
import { SageDomain } from './namespace.js'
import { ACKNOWLEDGE, Hand } from './unacknowledged.js'
import { Line } from './fifo.js'
import type { SageQueueOptions } from './open.js'
import { bellsOf, checkQueueName, openQueue } from './open.js'
import type { QueueStats } from '../session/snapshot.js'
import { byteLengthOf } from '../memory/store.js'

/** Options of everything that waits. */
export interface SageWaitOptions {
  /** How long to wait, in seconds. Default: for ever. */
  timeout?: number
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal
}

/** What a {@link SageQueue} is now; the counters are of all processes together. */
export interface SageQueueStats {
  /** Its name in the namespace. */
  name: string
  /** The tenant it belongs to; empty: none. */
  namespace: string
  /** Values it holds. */
  maxsize: number
  /** Name of its codec. */
  codec: string
  /** Values in it. */
  size: number
  /** Values that were got and are not finished. */
  inWork: number
  /** Of these, those of this end. */
  inHand: number
  /** Values ever put. */
  put: number
  /** Values ever got, each once however often it was delivered. */
  got: number
  /** Deliveries that were not the first. */
  redelivered: number
  /** Whether it was shut down. */
  closed: boolean
  /** Participants (processes, worker threads) that have it open. */
  attached: number
}

/**
 * A queue in the manner of Python's `queue.Queue`, between all processes and worker threads of this machine: values of any kind
 * in, values out, each to one getter. It is created by whoever opens it first, and lives as long as any process has its
 * namespace open, or until {@link SageQueue.destroy}.
 *
 * A value that was got is leased until {@link SageQueue.taskDone}: when its worker dies before, somebody else gets it, first in
 * line. Programs that never call `taskDone()` need not; see {@link Acknowledge}.
 *
 * All calls throw `ERR_MILLRACE_DESTROYED` once somebody destroyed the queue, and `ERR_MILLRACE_CLOSED` once this end was
 * closed. An open queue does not keep the process alive; a wait under way does.
 */
export class SageQueue<T = unknown> implements Disposable {
  /** Its name in the namespace. */
  readonly name: string
  /** The tenant it belongs to; empty: none. */
  readonly namespace: string
  /** Values it holds. Exact for one putting process; several that put at the same instant may exceed it by one each. */
  readonly maxsize: number
  readonly #domain: SageDomain
  readonly #member: Member = { end: (orderly) => this.#end(orderly) }
  readonly #subject: string
  readonly #queue: PortQueue<Encoded>
  readonly #codec: NamedCodec<T>
  readonly #maxDeliveries: number
  readonly #hand: Hand
  readonly #metal: BufferPtr
  readonly #room: Bell
  readonly #done: Bell
  readonly #over: Bell
  readonly #putters = new Line()
  readonly #ending = new AbortController()
  /** Gets that wait. */
  #getting = 0
  #dead: PortQueue | undefined

  /**
   * Opens queue `name`, or creates it.
   * @param name 1 to 58 letters, digits, `.`, `_` or `-`, beginning with a letter or digit
   * @throws {@link MillraceError} `ERR_MILLRACE_OPTIONS_MISMATCH` when it exists with another maxsize or codec
   */
  constructor(name: string, options: SageQueueOptions<T> = {}) {
    const { maxsize, codec, acknowledge = 'auto', maxDeliveries = Infinity } = checkObject('options', options)
    checkQueueName(name)
    if (maxsize !== undefined) checkInteger('maxsize', maxsize, 1, MAX_QUEUE_CAPACITY)
    if (!ACKNOWLEDGE.includes(acknowledge)) {
      throw invalidArgument('acknowledge', `one of ${ACKNOWLEDGE.map(show).join(', ')}`, acknowledge)
    }
    if (maxDeliveries !== Infinity) checkInteger('maxDeliveries', maxDeliveries, 1, 2 ** 32 - 1)
    const named = codec === undefined ? undefined : codecOf<T>(codec)
    this.#domain = SageDomain.join(this.#member, options)
    try {
      const { shm, namespace } = this.#domain
      const opened = openQueue(shm, name, maxsize, named)
      this.name = name
      this.namespace = namespace
      this.#subject = `queue '${name}'`
      this.#maxDeliveries = maxDeliveries
      this.maxsize = opened.maxsize
      this.#queue = opened.queue
      this.#codec = opened.codec
      this.#metal = shm.allocate(1)
      const { room, done, over } = bellsOf(name)
      this.#room = new Bell(shm, room, this.#metal)
      this.#done = new Bell(shm, done, this.#metal)
      this.#over = new Bell(shm, over, this.#metal)
      this.#hand = new Hand(this.#subject, acknowledge, () => this.#ringIfDone())
    } catch (error) {
      this.#domain.leave(this.#member)
      throw error
    }
  }

  /** Whether this end was closed. */
  get closed(): boolean {
    return this.#ending.signal.aborted
  }

  /**
   * Puts `value`, waiting while the queue is full (or memory is). Waiting puts of one end keep their order.
   * @throws {@link MillraceError} `ERR_MILLRACE_FULL` when `timeout` is over; `_CLOSED` after {@link SageQueue.shutdown};
   * `_TOO_LARGE` when it can never fit
   */
  async put(value: T, options: SageWaitOptions = {}): Promise<void> {
    const encoded = this.#encode(value)
    if (!this.#putters.busy && this.#offer(encoded)) return
    await this.#within(options, 'ERR_MILLRACE_FULL', 'stayed full', (signal) =>
      this.#putters.queueUp(signal, () => this.#putLater(encoded, signal)),
    )
  }

  /** Puts `value` now. @throws {@link MillraceError} `ERR_MILLRACE_FULL` and as {@link SageQueue.put} */
  putNowait(value: T): void {
    if (!this.#putters.busy && this.#offer(this.#encode(value))) return
    const { closed, depth } = this.#live()
    if (closed) throw this.#shutDownError()
    const why = depth < this.maxsize ? 'memory is used up' : `${depth} of ${this.maxsize} values`
    throw new MillraceError('ERR_MILLRACE_FULL', `${this.#subject} is full: ${why}`)
  }

  /**
   * Takes the next value, waiting while there is none.
   * @throws {@link MillraceError} `ERR_MILLRACE_EMPTY` when `timeout` is over; `_CLOSED` when the queue was shut down and is
   * drained. A value that cannot be decoded goes back, and what the codec threw is thrown.
   */
  async get(options: SageWaitOptions = {}): Promise<T> {
    this.#open()
    for (;;) {
      const message = await this.#within(options, 'ERR_MILLRACE_EMPTY', 'stayed empty', (signal) =>
        this.#receive(signal),
      )
      if (!this.#bury(message)) return this.#accept(message)
    }
  }

  /** Takes the next value now. @throws {@link MillraceError} `ERR_MILLRACE_EMPTY` and as {@link SageQueue.get} */
  getNowait(): T {
    this.#open()
    for (;;) {
      const message = this.#queue.tryReceive()
      if (message === null) throw this.#nothing()
      if (!this.#bury(message)) return this.#accept(message)
    }
  }

  /** The next value, which stays in the queue. @throws {@link MillraceError} `ERR_MILLRACE_EMPTY` */
  peek(): T {
    this.#open()
    using message = this.#queue.peek()
    if (message === null) throw this.#nothing()
    return this.#codec.decode(message.bytes)
  }

  /** Values in it now. */
  qsize(): number {
    return this.#live().depth
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
    this.#open()
    this.#hand.done(value)
  }

  /**
   * Puts a value this end got, `value` or the oldest one, back to the head of the queue.
   * @throws {@link MillraceError} `ERR_MILLRACE_NOT_HELD` when it is not in hand
   */
  giveBack(...value: [] | [value: T]): void {
    this.#open()
    this.#hand.giveBack(value)
  }

  /**
   * Waits until every value that was put, in whatever process, has been got and finished: the queue is empty and nobody has
   * anything in work. What a worker had when it died is not finished: it comes back.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`
   */
  async join(options: SageWaitOptions = {}): Promise<void> {
    this.#open()
    await this.#within(options, 'ERR_MILLRACE_TIMEOUT', 'was not finished', (signal) => this.#joinLater(signal))
  }

  /** What it is now. */
  getStats(): SageQueueStats {
    const { codec, depth, leased, sent, received, redelivered, closed, attached } = this.#stats()
    return {
      name: this.name,
      namespace: this.namespace,
      maxsize: this.maxsize,
      codec,
      size: depth,
      inWork: leased,
      inHand: this.#hand.size,
      put: sent,
      got: received,
      redelivered,
      closed,
      attached,
    }
  }

  /** No more, for everybody: puts fail, getters drain what is left and end with `ERR_MILLRACE_CLOSED`. Idempotent. */
  shutdown(): void {
    this.#open()
    this.#queue.close()
    this.#room.close()
    this.#over.close()
  }

  /** Removes the queue for everybody, with what is in it, and closes this end. Idempotent. */
  destroy(): void {
    if (this.closed) return
    this.#queue.destroy()
    this.#room.destroy()
    this.#done.destroy()
    this.#over.destroy()
    this.#end(true)
  }

  /**
   * Closes this end: its waits end with `ERR_MILLRACE_CLOSED`, and what is in hand and not finished goes back, see
   * {@link Acknowledge}. Others are not concerned. Idempotent.
   */
  close(): void {
    this.#end(true)
  }

  /** The same as {@link SageQueue.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #encode(value: T): Encoded {
    this.#open()
    const encoded = this.#codec.encode(value)
    const bytes = byteLengthOf(encoded)
    const { maxBytes } = this.#domain
    if (bytes <= maxBytes) return encoded
    throw new MillraceError(
      'ERR_MILLRACE_TOO_LARGE',
      `a value of ${bytes} bytes for ${this.#subject} is more than maxBytes, ${maxBytes}`,
    )
  }

  /** False: it must wait, or cannot. */
  #offer(encoded: Encoded): boolean {
    return this.#queue.depth < this.maxsize && this.#queue.tryPut(encoded)
  }

  async #putLater(encoded: Encoded, signal: AbortSignal): Promise<void> {
    let token: BufferPtr | undefined
    try {
      for (;;) {
        this.#room.open()
        const info = this.#queue.info
        // Full memory, and an end, are for the queue to wait for or to say.
        if (info === null || info.closed || info.depth < this.maxsize) break
        token?.release()
        token = await this.#room.hear(signal)
      }
      await this.#queue.put(encoded, { signal })
    } finally {
      // There may be room for others, too.
      token?.nack()
    }
  }

  async #joinLater(signal: AbortSignal): Promise<void> {
    const { shm } = this.#domain
    // Whoever died between its last value and the ring cannot ring any more.
    const onDeath = () => this.#done.ring()
    let token: BufferPtr | undefined
    shm.on('participant-lost', onDeath)
    try {
      for (;;) {
        this.#done.open()
        if (this.#isDone()) return
        token?.release()
        token = await this.#done.hear(signal)
      }
    } finally {
      shm.off('participant-lost', onDeath)
      // Others may wait for the same.
      token?.nack()
    }
  }

  /**
   * Nothing in it and nothing in work, at one moment. One look is not enough: what is in work may put more while we look from
   * the ring to the leases. Nothing was put or delivered again between two looks, so one of them saw it all.
   */
  #isDone(): boolean {
    const first = this.#stats()
    if (first.depth + first.leased > 0) return false
    const { depth, leased, sent, redelivered } = this.#stats()
    return depth + leased === 0 && sent === first.sent && redelivered === first.redelivered
  }

  /** After the last value there is nothing in the queue, so who finds it empty rings. */
  #ringIfDone(): void {
    if (this.#done.exists && this.#queue.depth === 0) this.#done.ring()
  }

  async #receive(signal: AbortSignal): Promise<BufferPtr> {
    signal.throwIfAborted()
    const message = this.#getting === 0 ? this.#queue.tryReceive() : null
    if (message !== null) return message
    const watch = new AbortController()
    this.#getting++
    try {
      if (this.#hand.settleable) void this.#settleAtEnd(AbortSignal.any([signal, watch.signal]))
      return await this.#queue.receive({ signal })
    } finally {
      this.#getting--
      watch.abort()
    }
  }

  /** At the end of a queue that was shut down others wait for what is in work here, as we do for theirs. */
  async #settleAtEnd(signal: AbortSignal): Promise<void> {
    try {
      this.#over.open()
      if (!this.#live().closed) await this.#over.hear(signal)
      if (this.#live().closed && this.#hand.settleable) this.#hand.empty(true)
    } catch (error) {
      // The wait itself says what is wrong.
      if (!(error instanceof MillraceError) && !signal.aborted) throw error
    }
  }

  #accept(message: BufferPtr): T {
    if (this.closed) {
      message.nack()
      throw this.#closedError()
    }
    this.#room.ring()
    let value: T
    try {
      value = this.#codec.decode(message.bytes)
    } catch (error) {
      message.nack()
      throw error
    }
    this.#hand.take(value, message)
    return value
  }

  /** Moves what was delivered too often to the dead letters. False: it may be delivered, once more if those are full. */
  #bury(message: BufferPtr): boolean {
    if (message.attempt <= this.#maxDeliveries) return false
    this.#dead ??= openQueue(this.#domain.shm, `${this.name}.dead`, undefined, this.#codec).queue as never as PortQueue
    // Sending it on acknowledges it.
    if (!this.#dead.trySend(message)) return false
    this.#room.ring()
    this.#ringIfDone()
    return true
  }

  /** Runs a wait under the caller's limits and the end of this object; its timeout is `code`. */
  async #within<R>(
    options: SageWaitOptions,
    code: 'ERR_MILLRACE_FULL' | 'ERR_MILLRACE_EMPTY' | 'ERR_MILLRACE_TIMEOUT',
    what: string,
    wait: (signal: AbortSignal) => Promise<R>,
  ): Promise<R> {
    const { timeout = Infinity, signal } = checkObject('options', options)
    checkSeconds(timeout)
    const signals = [this.#ending.signal]
    if (signal !== undefined) signals.push(checkSignal(signal)!)
    if (timeout === Infinity) return wait(signals.length === 1 ? signals[0]! : AbortSignal.any(signals))
    const late = new AbortController()
    const expire = () => {
      late.abort(new MillraceError(code, `${this.#subject} ${what} for ${timeout} s`))
    }
    const timer = setTimeout(expire, timeout * 1000)
    try {
      return await wait(AbortSignal.any([...signals, late.signal]))
    } finally {
      clearTimeout(timer)
    }
  }

  /** What there is of the queue. @throws unless it is there. */
  #live(): { depth: number; closed: boolean } {
    this.#open()
    const { info } = this.#queue
    if (info !== null) return info
    throw this.#destroyedError()
  }

  #stats(): QueueStats {
    this.#live()
    const stats = this.#domain.shm.stats().queues[this.name]
    if (stats !== undefined) return stats
    throw this.#destroyedError()
  }

  /** The error of finding nothing. */
  #nothing(): MillraceError {
    const { closed, depth } = this.#live()
    if (closed && depth === 0) return this.#shutDownError()
    return new MillraceError('ERR_MILLRACE_EMPTY', `${this.#subject} is empty`)
  }

  #open(): void {
    if (this.closed) throw this.#closedError()
  }

  #shutDownError(): MillraceError {
    return new MillraceError('ERR_MILLRACE_CLOSED', `${this.#subject} was shut down`)
  }

  #closedError(): MillraceError {
    return new MillraceError('ERR_MILLRACE_CLOSED', `this end of ${this.#subject} was closed`)
  }

  #destroyedError(): MillraceError {
    return new MillraceError('ERR_MILLRACE_DESTROYED', `${this.#subject} was destroyed`)
  }

  #end(orderly: boolean): void {
    if (this.closed) return
    this.#ending.abort(this.#closedError())
    try {
      this.#hand.empty(orderly)
      this.#room.leave()
      this.#done.leave()
      this.#metal.release()
    } finally {
      this.#domain.leave(this.#member)
    }
  }
}

const MAX_SECONDS = 2 ** 31 / 1000

function checkSeconds(timeout: unknown): void {
  if (timeout === Infinity || (typeof timeout === 'number' && timeout >= 0 && timeout < MAX_SECONDS)) return
  throw invalidArgument('timeout', `a number of seconds from 0 to ${Math.floor(MAX_SECONDS)}, or Infinity`, timeout)
}
