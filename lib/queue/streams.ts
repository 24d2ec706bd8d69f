import { Readable, Writable } from 'node:stream'
import type { ReadableStream, WritableStream } from 'node:stream/web'
import { invalidArgument } from '../errors.js'
import type { WaitOptions } from '../session/limits.js'
import type { OptionNames } from '../check.js'
import { checkInteger, checkOptions, checkSignal } from '../check.js'
import { onAbort } from '../session/cancel.js'

/** Options of {@link PortQueue.readable}. */
export interface ReadableOptions {
  /** Values, or with `bytes` bytes, that the stream holds ready. Default: 16 values, 64 KiB. */
  highWaterMark?: number
  /** A stream of bytes, without the bounds of messages, instead of values: for queues of bytes. Default: false. */
  bytes?: boolean
}

/** Options of {@link PortQueue.writable}. */
export interface WritableOptions {
  /** Values, or with `bytes` bytes, that the stream takes before it asks its source to pause. Default: 16 values, 64 KiB. */
  highWaterMark?: number
  /** A stream of bytes or text (sent as UTF-8), each chunk a message: for queues of bytes. Default: false. */
  bytes?: boolean
  /** Close the queue for everybody when the stream ends, or is destroyed: those who read from it see the end. Default: false. */
  close?: boolean
}

/** Options of {@link PortQueue.putFrom}. */
export interface PutFromOptions {
  /** Ends it with the signal's reason, also while the source is waited for; the source is told. */
  signal?: AbortSignal
  /** Close the queue for everybody at the end of the source, or when it fails. Default: false. */
  close?: boolean
}

const PUT_FROM_OPTIONS: OptionNames<PutFromOptions> = { signal: true, close: true }
/** Of both directions: who asks for both gives them together. */
const STREAM_OPTIONS: OptionNames<ReadableOptions & WritableOptions> = { highWaterMark: true, bytes: true, close: true }

/** @internal Values that a stream holds ready, or takes before it asks its source to pause. */
export const VALUES_READY = 16
const BYTES_READY = 64 * 1024
const HIGH_WATER_MARK_MAX = 2 ** 30

/** A web stream in each direction; each comes to be when it is first asked for. */
export interface WebStreams<T> {
  /** What comes out of the queue, as {@link PortQueue.readable}. */
  readonly readable: ReadableStream<T>
  /** What goes into the queue, as {@link PortQueue.writable}. */
  readonly writable: WritableStream<T>
}

/** What streams need of a queue. */
export interface StreamQueue<T> {
  put(value: T, options?: WaitOptions): Promise<void>
  putMany(values: readonly T[], options?: WaitOptions): Promise<void>
  readable(options?: ReadableOptions): Readable
  writable(options?: WritableOptions): Writable
  close(): void
}

/** A stream that puts what is written to it. */
export function writableTo<T>(queue: StreamQueue<T>, options: WritableOptions = {}): Writable {
  const { bytes, highWaterMark, close } = checkStream(options)
  const ending = new AbortController()
  const { signal } = ending
  return new Writable({
    objectMode: !bytes,
    highWaterMark,
    write(value: T, _encoding, callback) {
      report(queue.put(value, { signal }), callback)
    },
    writev(chunks, callback) {
      const values = chunks.map(({ chunk }) => chunk as T)
      report(queue.putMany(values, { signal }), callback)
    },
    final(callback) {
      finish(queue, close, callback)
    },
    destroy(error, callback) {
      ending.abort()
      finish(queue, close, (failure) => callback(error ?? failure ?? null))
    },
  })
}

/** A web stream holds nothing itself: what was in it when it is cancelled would be lost. */
const NOTHING_READY = { strategy: { highWaterMark: 0 } }

/** Both directions of `queue` as web streams. */
export function webStreams<T>(queue: StreamQueue<T>, options: ReadableOptions & WritableOptions): WebStreams<T> {
  checkStream(options)
  let readable: ReadableStream<T> | undefined
  let writable: WritableStream<T> | undefined
  return {
    get readable() {
      readable ??= Readable.toWeb(queue.readable(options), NOTHING_READY) as ReadableStream<T>
      return readable
    },
    get writable() {
      writable ??= Writable.toWeb(queue.writable(options)) as WritableStream<T>
      return writable
    },
  }
}

/** Puts what `source` yields; asks it for the next value when there was room for the last. Returns how many there were. */
export async function putFrom<T>(
  queue: StreamQueue<T>,
  source: Iterable<T> | AsyncIterable<T>,
  options: PutFromOptions = {},
): Promise<number> {
  const { signal, close = false } = checkOptions('putFrom', options, PUT_FROM_OPTIONS)
  checkSignal(signal)?.throwIfAborted()
  const iterator = iteratorOf(source)
  let count = 0
  let ended = false
  try {
    for (;;) {
      signal?.throwIfAborted()
      const { value, done } = await unlessAborted(iterator.next(), signal)
      if (done === true) {
        ended = true
        return count
      }
      await queue.put(value, signal && { signal })
      count++
    }
  } finally {
    // Not awaited: a source that is waited for in vain may not end either.
    if (!ended) Promise.resolve(iterator.return?.()).catch(() => {})
    if (close) queue.close()
  }
}

interface AnyIterator<T> {
  next(): IteratorResult<T> | Promise<IteratorResult<T>>
  return?(): unknown
}

function iteratorOf<T>(source: Iterable<T> | AsyncIterable<T>): AnyIterator<T> {
  const from = Object(source) as Partial<Iterable<T> & AsyncIterable<T>>
  const iterator = from[Symbol.asyncIterator]?.() ?? from[Symbol.iterator]?.()
  if (iterator !== undefined) return iterator
  throw invalidArgument('source', 'an iterable or an async iterable', source)
}

/** What `step` comes to, or the reason of `signal` as soon as that aborts. */
async function unlessAborted<R>(step: R | Promise<R>, signal: AbortSignal | undefined): Promise<R> {
  if (signal === undefined) return await step
  return await new Promise<R>((resolve, reject) => {
    const off = onAbort(signal, () => reject(signal.reason as Error))
    Promise.resolve(step).finally(off).then(resolve, reject)
  })
}

/** @internal What `options` say of a stream. */
export function checkStream(options: ReadableOptions & WritableOptions): {
  bytes: boolean
  highWaterMark: number
  close: boolean
} {
  const {
    bytes = false,
    highWaterMark = bytes ? BYTES_READY : VALUES_READY,
    close = false,
  } = checkOptions('a stream', options, STREAM_OPTIONS)
  return { bytes, highWaterMark: checkInteger('highWaterMark', highWaterMark, 0, HIGH_WATER_MARK_MAX), close }
}

function finish<T>(queue: StreamQueue<T>, close: boolean, callback: (error?: Error | null) => void): void {
  try {
    if (close) queue.close()
  } catch (error) {
    return callback(error as Error)
  }
  callback()
}

function report(put: Promise<void>, callback: (error: Error | null) => void): void {
  const tell = (error: unknown) => callback(error as Error | null)
  put.then(() => tell(null), tell)
}
