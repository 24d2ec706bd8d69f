import type { Readable, Writable } from 'node:stream'
import { inspect, type InspectOptions } from 'node:util'
import type { NamedCodec } from '../codec/codec.js'
import { codecRecorded } from '../codec/codec.js'
import { decodingOf } from '../codec/decoding.js'
import { isNoValue } from '../codec/no-value.js'
import { isBytes } from '../codec/views.js'
import { MillraceError } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { ValueSink } from '../memory/encode-ahead.js'
import { putValues } from '../memory/encode-ahead.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_CLOSED } from '../native/generated/codes.js'
import { MAX_QUEUE_CAPACITY } from '../native/generated/limits.js'
import type { BindingQueueInfo } from '../native/native.js'
import type { CapacityRange, QueueOptions } from './options.js'
import type { BlockingOptions, Limits, WaitOptions } from '../session/limits.js'
import type { OptionNames } from '../check.js'
import { checkFunction, checkInteger, checkOptions, checkSignal } from '../check.js'
import { limitsOf, WAIT_OPTIONS } from '../session/limits.js'
import type { Taken } from '../session/pull-iterator.js'
import { PullIterator } from '../session/pull-iterator.js'
import type { Session } from '../session/session.js'
import type { QueueStats } from '../session/snapshot.js'
import { inWords, queueStatsOf } from '../session/snapshot.js'
import { shown } from '../session/shown.js'
import type { Batch } from './batch.js'
import type { ConsumeOptions, Handler } from './consume.js'
import { consume, CONSUME_OPTIONS } from './consume.js'
import type { Progress } from './progress.js'
import { QueueReadable } from './readable.js'
import { Receiver } from './receiver.js'
import { Sender } from './sender.js'
import type { PutFromOptions, ReadableOptions, WebStreams, WritableOptions } from './streams.js'
import { putFrom, webStreams, writableTo } from './streams.js'
import { decode, ValueReader, valuesFrom } from './value-reader.js'
import { ValueWriter } from './value-writer.js'

/** What a queue is now. */
export interface QueueInfo extends Required<Omit<QueueOptions<never>, 'capacity' | 'codec'>> {
  /** Messages it holds now. */
  capacity: number
  /** Between what its capacity follows its load; null: it does not. */
  capacityRange: CapacityRange | null
  /** Its name in the domain. */
  name: string
  /** Name of its codec. */
  codec: string
  /** Messages in it. */
  depth: number
  /** Whether it was closed: no more sends, what is left can be received. */
  closed: boolean
}

/** Options of {@link PortQueue.batches}. */
export interface BatchOptions extends WaitOptions {
  /** Most messages of a batch, 1 … 256. Default: 256. */
  max?: number
}

const BATCH_OPTIONS: OptionNames<BatchOptions> = { ...WAIT_OPTIONS, max: true }

/**
 * A bounded queue of buffer references: many producers, many consumers, in any process of this machine. Sending moves a
 * reference, receiving takes one; payloads stay where they are. `put` and `get` copy values in and out by the queue's codec.
 *
 * Every participant may hold the queue before anybody has created it: who sends to it makes it then, with default options that are nobody's
 * wish; calls that receive wait for that too, or return what they return of an empty queue. All calls throw `ERR_MILLRACE_DESTROYED` once it was destroyed, and
 * `ERR_MILLRACE_CLOSED` once the manager was closed.
 */
export class PortQueue<T = Uint8Array> implements AsyncIterable<BufferPtr> {
  readonly #session: Session
  readonly #name: string
  /** What messages call it. */
  readonly #subject: string
  readonly #handle: number
  readonly #receiver: Receiver
  readonly #sender: Sender
  readonly #reader: ValueReader
  readonly #writer: ValueWriter
  #codec: NamedCodec<T> | undefined

  /** @internal */
  constructor(
    session: Session,
    name: string,
    handle: number,
    codec: NamedCodec<T> | undefined,
    subject = `queue "${name}"`,
  ) {
    this.#subject = subject
    this.#name = name
    this.#session = session
    this.#handle = handle
    this.#receiver = new Receiver(session, handle, subject)
    this.#reader = new ValueReader(session, this.#receiver, handle)
    this.#sender = new Sender(session, handle, subject)
    this.#writer = new ValueWriter(session, this.#sender, handle)
    this.#codec = codec && decodingOf(`a value of ${subject}`, codec)
  }

  /** Its name in the domain. */
  get name(): string {
    return this.#name
  }

  /** @internal What the objects of its manager share. */
  get session(): Session {
    return this.#session
  }

  /** Its options and state; null while it does not exist. */
  get info(): QueueInfo | null {
    const info = this.#nativeInfo()
    if (info === null) return null
    const { minCapacity: min, maxCapacity: max, codecOpen: _, ...rest } = info
    return { ...rest, ...inWords(info), capacityRange: max > 0 ? { min, max } : null }
  }

  /** Messages in it now. */
  get depth(): number {
    return this.#session.call((open) => open.depth(this.#handle)) ?? 0
  }

  /** How many participants have sent to it, or tried to, and have not left. */
  get producers(): number {
    return this.#roles()[0]
  }

  /** How many participants have received from it, or tried to, and have not left. */
  get consumers(): number {
    return this.#roles()[1]
  }

  /** Its counters, of all participants together; null while it does not exist. Cheaper than {@link ShmManager.stats}. */
  stats(): QueueStats | null {
    return queueStatsOf(this.#session, this.#handle)
  }

  /** Moves `buffer` into the queue. False: it is full or closed, and the buffer still yours. */
  trySend(buffer: BufferPtr): boolean {
    return this.#sender.trySend(buffer)
  }

  /**
   * Moves `buffer` into the queue, waiting while that is full. Several waiting sends of one participant keep their order.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`, `_CLOSED`, `_FULL` (overflow policy `reject` only); the buffer
   * is still yours then.
   */
  send(buffer: BufferPtr, options?: WaitOptions): Promise<void> {
    return this.#sender.send(buffer, options)
  }

  /** Moves a prefix of `buffers` into the queue, 256 at a crossing. Returns its length; the rest is still yours. */
  sendMany(buffers: readonly BufferPtr[]): number {
    return this.#sender.sendMany(buffers)
  }

  /** As {@link PortQueue.send}, but blocks the thread. For workers: on the main thread it throws `ERR_MILLRACE_WOULD_BLOCK`. */
  sendSync(buffer: BufferPtr, options?: BlockingOptions): void {
    this.#sender.sendSync(buffer, options)
  }

  /** The next message, or null when there is none now. */
  tryReceive(): BufferPtr | null {
    return this.#receiver.take() ?? null
  }

  /**
   * The next message, waiting while there is none.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`; `_CLOSED` when the queue is closed and drained.
   */
  async receive(options?: WaitOptions): Promise<BufferPtr> {
    return (await this.#receiver.wait(limitsOf(options), () => this.#receiver.take())) ?? this.#ended()
  }

  /** As {@link PortQueue.receive}, but blocks the thread. For workers: on the main thread it throws `ERR_MILLRACE_WOULD_BLOCK`. */
  receiveSync(options?: BlockingOptions): BufferPtr {
    return this.#receiver.takeSync(options) ?? this.#ended()
  }

  /** Up to `max` messages that are there now, 256 at a crossing. A failure behind messages that have come is thrown by the next call. */
  receiveMany(max: number): BufferPtr[] {
    checkInteger('max', max, 1, 2 ** 20)
    const messages: BufferPtr[] = []
    this.#receiver.takeMany(max, messages)
    return messages
  }

  /** A further reference to the next message, which stays in the queue; null when there is none. Release it, do not write. */
  peek(): BufferPtr | null {
    return this.#receiver.peek()
  }

  /** Copies `value` in. False: the queue is full or closed (or, if the domain waits when exhausted, the pool is). */
  tryPut(value: T): boolean {
    const codec = this.#codec ?? this.#codecToPut([value])
    return codec !== undefined && this.#writer.tryPut(codec.encode(value))
  }

  /**
   * Copies `value` in, waiting while the queue is full.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`, `_CLOSED`, `_FULL` (overflow policy `reject` only), `_EXHAUSTED`,
   * `_TOO_LARGE`
   */
  put(value: T, options?: WaitOptions): Promise<void> {
    try {
      const codec = this.#codec ?? this.#codecToPut([value])
      if (codec !== undefined) return this.#writer.put(codec.encode(value), limitsOf(options))
    } catch (error) {
      return Promise.reject(error)
    }
    return this.putMany([value], options)
  }

  /** Copies `values` in, in order, 256 at a crossing. When it throws, as {@link PortQueue.put} does, a prefix has been sent. */
  putMany(values: readonly T[], options?: WaitOptions): Promise<void> {
    return putValues(this.#writer, values, options, () => this.#codecToPut(values))
  }

  /** @internal The same; `progress` says, also when it throws, how many have been put. */
  putCounting(values: readonly T[], options: WaitOptions, progress: Progress): Promise<void> {
    const writer = this.#writer
    const sink: ValueSink<void> = {
      exists: (limits, attempt) => writer.exists(limits, attempt),
      putMany: (list, limits) => writer.putMany(list, limits, progress),
    }
    return putValues(sink, values, options, () => this.#codecToPut(values))
  }

  /**
   * Takes a message and returns its value; undefined when there is none now. A message that cannot be decoded is given back
   * to an at-least-once queue, and lost to any other.
   * @throws {@link MillraceError} also `ERR_MILLRACE_DECODE`, which says why; what the codec threw is its `cause`
   */
  tryGet(): T | undefined {
    const codec = this.#findCodec()
    return codec && this.#reader.tryGet(codec)
  }

  /**
   * Takes a message and returns its value, waiting while there is none. Otherwise as {@link PortQueue.tryGet}.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`; `_CLOSED` when the queue is closed and drained.
   */
  async get(options?: WaitOptions): Promise<T> {
    const raw = (await this.#reader.wait(limitsOf(options), () => this.#findCodec())) ?? this.#ended()
    return decode(this.#findCodec()!, raw)
  }

  /**
   * Takes up to `max` messages that are there now and returns their values, 256 at a crossing. Messages that cannot be
   * decoded are given back or lost, as with {@link PortQueue.tryGet}, and the error is thrown by the next call that
   * has no values to return: this one if there are none, else the one after it.
   */
  getMany(max: number): T[] {
    checkInteger('max', max, 1, 2 ** 20)
    const codec = this.#findCodec()
    return codec === undefined ? [] : this.#reader.getMany(codec, max)
  }

  /**
   * Calls `handler` for each message, which is released (acknowledged) when that returns or the promise it returns settles.
   * Drains what is there within a time slice per turn of the event loop. Resolves when the queue is closed and drained or
   * `signal` aborts; rejects with what `handler` throws, after the message was given back to an at-least-once queue. A
   * `using` or `release()` in the handler comes before that, and acknowledges.
   */
  async consume(handler: Handler, options: ConsumeOptions = {}): Promise<void> {
    checkFunction('handler', handler)
    const { signal } = checkOptions('consume', options, CONSUME_OPTIONS)
    if (checkSignal(signal)?.aborted) return
    await consume(this.#receiver, handler, limitsOf({ signal }))
  }

  /**
   * Iterates over batches of what is there, without a promise per message. Each batch is released at the end of its turn; what of it
   * has not been released when the loop is left goes back, as in {@link PortQueue[Symbol.asyncIterator]}.
   */
  batches(options: BatchOptions = {}): AsyncIterableIterator<Batch, undefined> {
    const { max = BATCH_MAX, ...wait } = checkOptions('batches', options, BATCH_OPTIONS)
    checkInteger('max', max, 1, BATCH_MAX)
    const take = (done?: Batch) => {
      done?.release()
      return this.#receiver.takeBatch(max)
    }
    return new PullIterator<Batch>(
      { take, wait: (limits, tried) => this.#receiver.wait(limits, take, tried), release, giveBack },
      wait,
    )
  }

  /** @internal Up to `max` messages that are there now. */
  takeBatch(max: number): Taken<Batch> {
    return this.#receiver.takeBatch(max)
  }

  /** @internal The same, once there are some; null: nothing more comes. */
  waitForBatch(max: number, limits: Limits): Promise<Batch | null> {
    return this.#receiver.wait(limits, () => this.#receiver.takeBatch(max))
  }

  /**
   * Iterates over messages. Each is released at the end of its turn, which acknowledges it; `share()` it to keep it longer. Ends when
   * the queue is closed and drained.
   *
   * A loop that is left, by `break`, `return` or a throw, has not come to the end of its turn: the message goes back to an
   * at-least-once queue, first in line, and any other queue has lost it. Who leaves a loop when a message has been dealt with says so
   * by `release()`; a `using` in the loop says so of every message, also of one whose turn throws.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<BufferPtr, undefined> {
    const take = (done?: BufferPtr) => this.#receiver.takeAfter(done)
    const wait = (limits: Limits, tried: boolean) => this.#receiver.wait(limits, take, tried)
    return new PullIterator<BufferPtr>({ take, wait, release, giveBack })
  }

  /**
   * Values as a stream in object mode, or bytes as one of bytes. Ends when the queue is closed and drained. A message is let go of,
   * and so acknowledged, when its value has left the stream and the reader asks for more. What a destroyed stream still held, and the
   * value that its reader had last, go back to an at-least-once queue, and are lost to any other. A value that cannot be decoded, or
   * that no stream can carry (null), ends the stream with an error after those before it have been handed on; it and those behind it
   * go back in the same way.
   */
  readable(options?: ReadableOptions): Readable {
    const wait = (max: number, limits: Limits) =>
      this.#receiver.wait(limits, () => this.#findCodec() && this.#receiver.takeBatch(max))
    return new QueueReadable({ wait, decode: (bytes) => this.#findCodec()!.decode(bytes) }, options)
  }

  /** A stream in object mode, or of bytes, that puts what is written to it, waiting while the queue is full. */
  writable(options?: WritableOptions): Writable {
    return writableTo(this, options)
  }

  /** Both directions as web streams. */
  toWeb(options: ReadableOptions & WritableOptions = {}): WebStreams<T> {
    return webStreams(this, options)
  }

  /**
   * Iterates over values. Each is acknowledged at the end of its turn; the value of a turn in which the loop is left goes back to an
   * at-least-once queue, first in line. Ends when the queue is closed and drained.
   */
  values(options?: WaitOptions): AsyncIterableIterator<T, undefined> {
    return new PullIterator(
      valuesFrom(this.#reader, () => this.#findCodec()),
      options,
    )
  }

  /**
   * Puts whatever `source` yields, waiting while the queue is full: the source is asked for a value only when the one before
   * is in. Returns how many there were. Rejects with what the source throws, and as {@link PortQueue.put}.
   */
  putFrom(source: Iterable<T> | AsyncIterable<T>, options?: PutFromOptions): Promise<number> {
    return putFrom(this, source, options)
  }

  /**
   * Makes the queue hold `capacity` messages, rounded up to a power of two; of a queue with a limit, that is what becomes `capacity`. At once
   * and for everybody: messages keep their order, none is lost, and nobody who has the queue open need know of it. Where there are more
   * messages than that, they stay, and nothing more is taken until there is room; one that drops the oldest drops them when the next is sent.
   * Whoever opens the queue from now on with another capacity gets it as it is. The other participants of the domain are held up for as long as
   * it takes to move the messages that are there.
   * @param capacity 1 … 1 048 576
   * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT`; `_NOT_FOUND`: nobody has created it; `_CLOSED`, `_DESTROYED`; `_TIMEOUT`: a
   * participant of the domain is stopped in the middle of something; `_EXHAUSTED`, `_NO_SPACE`: no memory for its ring
   */
  resize(capacity: number): void {
    checkInteger('capacity', capacity, 1, MAX_QUEUE_CAPACITY)
    const exists = this.#session.call((open) => open.resizeQueue(this.#handle, capacity))
    if (exists) return
    // Of one that was destroyed, a look at it tells.
    this.#receiver.peek()?.release()
    throw new MillraceError('ERR_MILLRACE_NOT_FOUND', `queue "${this.name}" does not exist yet: nobody has created it`)
  }

  /** No more: sends fail for everybody, consumers drain what is left and end. Idempotent. */
  close(): void {
    this.#session.call((open) => open.closeQueue(this.#handle))
  }

  /** Removes the queue for everybody: frees its messages and ends every wait with `ERR_MILLRACE_DESTROYED`. Idempotent. */
  destroy(): void {
    this.#session.call((open) => open.destroyQueue(this.#handle))
  }

  /** @internal Lets go of the queue without a word to anybody else. Nothing may be done with this object afterwards. */
  detach(): void {
    this.#session.call((open) => open.detachQueue(this.#handle))
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return shown(this.shownAs, this.name, () => this.info, options)
  }

  /** @internal What `console.log` calls it. */
  protected get shownAs(): string {
    return 'PortQueue'
  }

  #roles(): [producers: number, consumers: number] {
    return (this.#session.call((open) => open.queueRoles(this.#handle)) as [number, number] | null) ?? [0, 0]
  }

  /** The codec, once the queue exists or the caller named one. */
  #findCodec(): NamedCodec<T> | undefined {
    if (this.#codec !== undefined) return this.#codec
    const info = this.#nativeInfo()
    if (info === null) {
      // A queue that was destroyed is not there either, and to wait for it would be in vain: a look at it throws.
      this.#receiver.peek()?.release()
      return undefined
    }
    const codec = decodingOf(`a value of ${this.#subject}`, codecRecorded<T>(info.codec, this.#subject))
    if (!info.codecOpen) this.#codec = codec
    return codec
  }

  /** The codec to put `values` by. Who puts bytes into a queue that nobody has created makes it; for anything else somebody has to name a codec. */
  #codecToPut(values: readonly T[]): NamedCodec<T> | undefined {
    const codec = this.#findCodec()
    if (codec !== undefined || !values.every(isBytes)) return codec
    this.#session.call((open) => open.queue(this.#name, {}))
    return this.#findCodec()
  }

  #nativeInfo(): BindingQueueInfo | null {
    return this.#session.call((open) => open.queueInfo(this.#handle))
  }

  #ended(): never {
    throw this.#session.failure(STATUS_CLOSED, this.#subject)
  }
}

isNoValue(PortQueue)

function release(done: { release(): void }): void {
  done.release()
}

function giveBack(left: { nack(): void }): void {
  left.nack()
}
