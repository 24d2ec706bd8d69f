import { Readable, Writable } from 'node:stream'
import type { ReadableStream, WritableStream } from 'node:stream/web'
import { invalidArgument } from './errors.js'
import type { PortQueue } from './port-queue.js'

/** Options of {@link PortQueue.readable}. */
export interface ReadableOptions {
  /** Values the stream holds ready. Default: 16. */
  highWaterMark?: number
}

/** Options of {@link PortQueue.writable}. */
export interface WritableOptions {
  /** Values the stream takes before it asks its source to pause. Default: 16. */
  highWaterMark?: number
  /** Close the queue for everybody when the stream ends. Default: false. */
  close?: boolean
}

/** A web stream in each direction; each comes to be when it is first asked for. */
export interface WebStreams<T> {
  readonly readable: ReadableStream<T>
  readonly writable: WritableStream<T>
}

/** Some values, up to `max`; null when there will be none. */
export type Source<T> = (max: number, signal: AbortSignal) => Promise<T[] | null>

/** A stream of what `source` yields. */
export function readableFrom<T>(source: Source<T>, { highWaterMark = 16 }: ReadableOptions = {}): Readable {
  const ending = new AbortController()
  return new Readable({
    objectMode: true,
    highWaterMark,
    read() {
      void pull(this, source(Math.max(1, highWaterMark - this.readableLength), ending.signal))
    },
    destroy(error, callback) {
      ending.abort()
      callback(error)
    },
  })
}

/** A stream that puts what is written to it. */
export function writableTo<T>(
  queue: PortQueue<T>,
  { highWaterMark = 16, close = false }: WritableOptions = {},
): Writable {
  const ending = new AbortController()
  const { signal } = ending
  return new Writable({
    objectMode: true,
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
export function webStreams<T>(queue: PortQueue<T>): WebStreams<T> {
  let readable: ReadableStream<T> | undefined
  let writable: WritableStream<T> | undefined
  return {
    get readable() {
      readable ??= Readable.toWeb(queue.readable()) as ReadableStream<T>
      return readable
    },
    get writable() {
      writable ??= Writable.toWeb(queue.writable()) as WritableStream<T>
      return writable
    },
  }
}

async function pull<T>(stream: Readable, values: Promise<T[] | null>): Promise<void> {
  try {
    const arrived = await values
    if (arrived === null) stream.push(null)
    else if (arrived.includes(null as T))
      throw invalidArgument('a value of a stream', 'anything but its end mark', null)
    else for (const value of arrived) stream.push(value)
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
