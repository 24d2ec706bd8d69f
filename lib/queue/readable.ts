import { Readable } from 'node:stream'
import { invalidArgument } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { putBack } from '../memory/discard.js'
import { Cancel } from '../session/cancel.js'
import type { Limits } from '../session/limits.js'
import { limitsOf } from '../session/limits.js'
import type { Batch } from './batch.js'
import type { ReadableOptions } from './streams.js'
import { TimeSlice } from '../session/time-slice.js'
import { checkStream, VALUES_READY } from './streams.js'

/** Where a stream's messages come from. */
export interface StreamSource<T> {
  /** Up to `max` messages, waiting for the first; null: there will be none. */
  wait(max: number, limits: Limits): Promise<Batch | null>
  decode(bytes: Uint8Array): T
}

/** A message whose value is in the stream, or with its reader. */
interface Pushed {
  readonly message: BufferPtr
  /** What it adds to what the stream holds ready. */
  readonly size: number
}

/**
 * A stream of what a source yields. A message is let go of, and so acknowledged, when its value has left the stream and the reader asks
 * for more. What a destroyed stream still held goes back to an at-least-once queue, and so does the value that its reader had last.
 */
export class QueueReadable<T> extends Readable {
  readonly #source: StreamSource<T>
  readonly #bytes: boolean
  readonly #cancel = new Cancel()
  readonly #limits: Limits = { ...limitsOf(undefined, this.#cancel), yields: true }
  readonly #slice = new TimeSlice()
  /** In order. */
  readonly #pushed: Pushed[] = []
  /** Their sizes together. */
  #held = 0
  /** Size of the last message, by which is guessed how many more there is room for. */
  #size = 1
  /** Whether nothing more comes, and the reader has not been told. */
  #drained = false

  constructor(source: StreamSource<T>, options: ReadableOptions = {}) {
    const { bytes, highWaterMark } = checkStream(options)
    super({ objectMode: !bytes, highWaterMark })
    this.#source = source
    this.#bytes = bytes
    // A reader that asks for more bytes than there are gets the last ones with the end.
    this.on('end', () => this.#settle())
  }

  /** Called by whoever reads, for each value or for so many bytes; with 0 by the stream itself, to have more ready. */
  override read(size?: number): unknown {
    if (size !== 0) {
      this.#settle()
      if (this.#drained && this.readableLength < (size ?? 1)) this.#end()
    }
    return super.read(size)
  }

  override _read(): void {
    this.#settleFlowing()
    const room = Math.max(1, Math.floor((this.readableHighWaterMark - this.readableLength) / this.#size))
    const max = Math.min(room, VALUES_READY)
    const arrive = (batch: Batch | null) => {
      if (batch === null) this.#drain()
      else if (this.destroyed) batch.nack()
      else this.#pushAll(batch)
    }
    const fail = (error: unknown) => this.destroy(error as Error)
    this.#wait(max).then(arrive).catch(fail)
  }

  async #wait(max: number): Promise<Batch | null> {
    // A reader that always finds something would keep timers and I/O out for ever.
    if (this.#slice.exceeded()) await this.#slice.pass()
    return await this.#source.wait(max, this.#limits)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#cancel.cancel()
    for (const { message } of this.#pushed.splice(0)) message.nack()
    callback(error)
  }

  /** The end is told when the reader asks for it: it ends the stream, while the reader may be at work with the last value. */
  #drain(): void {
    this.#settleFlowing()
    if (this.#pushed.length === 0) return this.#end()
    this.#drained = true
    this.emit('readable')
  }

  #end(): void {
    this.#drained = false
    this.push(null)
  }

  #pushAll(batch: Batch): void {
    let message: BufferPtr | undefined
    try {
      for (message of batch) {
        this.#settleFlowing()
        const value = this.#source.decode(message.bytes)
        // Null would end the stream.
        if (value === null) throw invalidArgument('a value of a stream', 'anything but its end mark', null)
        // By the codec, or by whoever heard the value before: what was pushed has been given back.
        if (this.destroyed) return batch.nack()
        const size = this.#bytes ? Math.max(1, (value as Uint8Array).byteLength) : 1
        this.#size = size
        this.#held += size
        this.#pushed.push({ message, size })
        this.push(value)
      }
    } catch (error) {
      // Messages that were pushed are no more the batch's to give back.
      const given = new Set(this.#pushed.map((one) => one.message))
      for (const rest of batch) if (!given.has(rest)) putBack(rest)
      this.destroy(error as Error)
    }
  }

  /** Listeners return when they are done with a value: what has left a stream that flows has been dealt with. */
  #settleFlowing(): void {
    if (this.readableFlowing === true) this.#settle()
  }

  /** Lets go of the messages whose values have left the stream. */
  #settle(): void {
    const pushed = this.#pushed
    while (pushed.length > 0 && this.#held - pushed[0]!.size >= this.readableLength) {
      const { message, size } = pushed.shift()!
      this.#held -= size
      message.release()
    }
  }
}
