import { Readable, Writable } from 'node:stream'
import type { ReadableStream, WritableStream } from 'node:stream/web'
import { invalidArgument } from '../errors.js'
import type { PortQueue } from './port-queue.js'

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
  /** Close the queue for everybody when the stream ends. Default: false. */
  close?: boolean
}

/** Options of {@link PortQueue.putFrom}. */
export interface PutFromOptions {
  /** Ends it with the signal's reason. */
  signal?: AbortSignal
  /** Close the queue for everybody at the end of the source. Default: false. */
  close?: boolean
}

/** Values that a stream holds ready, or takes ahead. */
const VALUES_AHEAD = 16
const BYTES_AHEAD = 64 * 1024

/** A web stream in each direction; each comes to be when it is first asked for. */
export interface WebStreams<T> {
  /** What comes out of the queue, as {@link PortQueue.readable}. */
  readonly readable: ReadableStream<T>
  /** What goes into the queue, as {@link PortQueue.writable}. */
  readonly writable: WritableStream<T>
}

/** Some values, up to `max`; null when there will be none. */
export type Source<T> = (max: number, signal: AbortSignal) => Promise<T[] | null>

/** A stream of what `source` yields. */
export function readableFrom<T>(source: Source<T>, options: ReadableOptions = {}): Readable {
  const { bytes = false, highWaterMark = bytes ? BYTES_AHEAD : VALUES_AHEAD } = options
  const ending = new AbortController()
  /** What one message adds to what is held ready; of bytes, as many as the last ones had. */
  let size = 1
  return new Readable({
    objectMode: !bytes,
    highWaterMark,
    read() {
      const room = Math.max(1, Math.floor((highWaterMark - this.readableLength) / size))
      void pull(this, source(Math.min(room, VALUES_AHEAD), ending.signal), (value) => {
        if (bytes) size = Math.max(1, (value as Uint8Array).byteLength)
      })
    },
    destroy(error, callback) {
      ending.abort()
      callback(error)
    },
  })
}

/** A stream that puts what is written to it. */
export function writableTo<T>(queue: PortQueue<T>, options: WritableOptions = {}): Writable {
  const { bytes = false, highWaterMark = bytes ? BYTES_AHEAD : VALUES_AHEAD, close = false } = options
  const ending = new AbortController()
  const { signal } = ending
  return new Writable({
    objectMode: !bytes,
    highWaterMark,
    write(value: T, _encoding, callback) {
      void report(queue.put(value, { signal }), callback)
    },
    writev(chunks, callback) {
      const values = chunks.map(({ chunk }) => chunk as T)
      void report(queue.putMany(values, { signal }), callback)
    },
    final(callback) {
      if (close) queue.close()
      callback()
    },
    destroy(error, callback) {
      ending.abort()
      callback(error)
    },
  })
}

/** Both directions of `queue` as web streams. */
export function webStreams<T>(queue: PortQueue<T>, options: ReadableOptions & WritableOptions): WebStreams<T> {
  let readable: ReadableStream<T> | undefined
  let writable: WritableStream<T> | undefined
  return {
    get readable() {
      readable ??= Readable.toWeb(queue.readable(options)) as ReadableStream<T>
      return readable
    },
    get writable() {
      writable ??= Writable.toWeb(queue.writable(options)) as WritableStream<T>
      return writable
    },
  }
}

/** The values of `source`, one by one. Ending the iteration ends the wait it may be in. */
export class Values<T> implements AsyncIterableIterator<T, undefined> {
  readonly #source: Source<T>
  readonly #ending = new AbortController()
  readonly #signal: AbortSignal

  constructor(source: Source<T>, signal: AbortSignal | undefined) {
    const own = this.#ending.signal
    this.#source = source
    this.#signal = signal === undefined ? own : AbortSignal.any([signal, own])
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    try {
      const values = this.#ending.signal.aborted ? null : await this.#source(1, this.#signal)
      if (values !== null) return { value: values[0]!, done: false }
    } catch (error) {
      if (!this.#ending.signal.aborted) throw error
    }
    return { value: undefined, done: true }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#ending.abort()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/** Puts what `source` yields; asks it for the next value when there was room for the last. Answers how many there were. */
export async function putFrom<T>(
  queue: PortQueue<T>,
  source: Iterable<T> | AsyncIterable<T>,
  { signal, close = false }: PutFromOptions = {},
): Promise<number> {
  let count = 0
  for await (const value of source) {
    await queue.put(value, signal && { signal })
    count++
  }
  if (close) queue.close()
  return count
}

async function pull<T>(stream: Readable, values: Promise<T[] | null>, measure: (value: T) => void): Promise<void> {
  try {
    const arrived = await values
    if (arrived === null) stream.push(null)
    else if (arrived.includes(null as T))
      throw invalidArgument('a value of a stream', 'anything but its end mark', null)
    else {
      measure(arrived.at(-1)!)
      for (const value of arrived) stream.push(value)
    }
  } catch (error) {
    stream.destroy(error as Error)
  }
}

async function report(put: Promise<void>, callback: (error?: Error | null) => void): Promise<void> {
  try {
    await put
  } catch (error) {
    return callback(error as Error)
  }
  callback()
}
