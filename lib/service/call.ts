import type { BufferPtr } from '../memory/buffer-ptr.js'
import { MillraceError } from '../errors.js'
import type { Envelope } from './envelope.js'
import { CHUNK, END, ERROR, LOST, VALUE } from './envelope.js'
import { decodeFailure } from './failure.js'
import type { Payload } from './payload.js'

/** A request under way, at its client. */
export abstract class Call<Res> {
  /** Its number, once the request has been written. */
  id = 0
  /** A reference to the request, by which it can be seen and cancelled wherever it is. */
  tracker: BufferPtr | undefined
  /** Whether part of the reply has come: then another run cannot replace this one. */
  begun = false
  ended = false
  protected readonly service: string
  protected readonly replies: Payload<Res>
  readonly retries: number
  readonly #ends: (() => void)[] = []

  constructor(service: string, replies: Payload<Res>, retries: number) {
    this.service = service
    this.replies = replies
    this.retries = retries
  }

  /** Items of the reply that may be under way; 0: the reply is one value. */
  abstract readonly window: number

  /** Takes over a message that answers the request. */
  abstract accept(envelope: Envelope, message: BufferPtr): void

  /** Ends it with an error, unless it has ended. */
  fail(error: unknown): void {
    if (this.ended) return
    this.end()
    this.reject(error)
  }

  /** Adds what to undo when it is over. */
  onEnd(undo: () => void): void {
    this.#ends.push(undo)
  }

  protected abstract reject(error: unknown): void

  protected end(): void {
    this.ended = true
    for (const undo of this.#ends) undo()
    this.tracker?.release()
  }

  /** The error that a message means which is no value. */
  protected failure({ kind, slot }: Envelope, message: BufferPtr): Error {
    const origin = `service '${this.service}', participant ${slot}`
    try {
      if (kind === ERROR) return decodeFailure(message.bytes, origin)
      if (kind === LOST) return serverLost(this.service)
      return new MillraceError('ERR_MILLRACE_CORRUPT', `${origin} answered with message kind ${kind}`)
    } finally {
      message.release()
    }
  }
}

/** A request whose reply is one value. */
export class Single<Res> extends Call<Res> {
  readonly window = 0
  readonly promise: Promise<Res>
  #resolve!: (value: Res) => void
  #reject!: (error: unknown) => void

  constructor(service: string, replies: Payload<Res>, retries: number) {
    super(service, replies, retries)
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  override accept(envelope: Envelope, message: BufferPtr): void {
    if (envelope.kind !== VALUE) return this.fail(this.failure(envelope, message))
    let value: Res
    try {
      value = this.replies.unpack(message)
    } catch (error) {
      return this.fail(error)
    }
    this.end()
    this.#resolve(value)
  }

  protected override reject(error: unknown): void {
    this.#reject(error)
  }
}

/** What a stream asks of its client. */
export interface StreamHost<Res> {
  /** Sends the request. */
  start(call: StreamCall<Res>): Promise<void>
  /** Lets the server send items up to position `limit`. */
  credit(server: Envelope, limit: number): void
  /** Nobody wants the rest. */
  cancel(call: StreamCall<Res>): void
}

interface Turn<Res> {
  resolve(result: IteratorResult<Res, undefined>): void
  reject(error: unknown): void
}

/** A request whose reply is a stream: the iterator over it. The request is sent when the first item is asked for. */
export class StreamCall<Res> extends Call<Res> implements AsyncIterableIterator<Res, undefined> {
  readonly window: number
  readonly #host: StreamHost<Res>
  readonly #items: BufferPtr[] = []
  readonly #turns: Turn<Res>[] = []
  #started = false
  #server: Envelope | undefined
  #received = 0
  #consumed = 0
  #granted: number
  #failure: { error: unknown } | undefined
  #current: { release(): void } | undefined

  constructor(service: string, replies: Payload<Res>, retries: number, window: number, host: StreamHost<Res>) {
    super(service, replies, retries)
    this.window = window
    this.#granted = window
    this.#host = host
  }

  next(): Promise<IteratorResult<Res, undefined>> {
    this.#release()
    if (!this.#started) this.#start()
    return new Promise((resolve, reject) => {
      this.#turns.push({ resolve, reject })
      this.#deliver()
    })
  }

  /** Ends the iteration; the server's handler is told. */
  async return(): Promise<IteratorResult<Res, undefined>> {
    this.#started = true
    if (!this.ended) {
      this.#host.cancel(this)
      this.end()
    }
    this.#release()
    for (const item of this.#items.splice(0)) item.release()
    this.#failure = undefined
    this.#deliver()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  override accept(envelope: Envelope, message: BufferPtr): void {
    if (this.begun && envelope.run !== this.#server!.run) {
      message.release()
      this.#host.cancel(this)
      this.fail(serverLost(this.service))
      return
    }
    if (envelope.kind === CHUNK && envelope.detail === this.#received) {
      this.begun = true
      this.#server = envelope
      this.#received++
      this.#items.push(message)
    } else if (envelope.kind === END && envelope.detail === this.#received) {
      message.release()
      this.end()
    } else {
      return this.fail(this.failure(envelope, message))
    }
    this.#deliver()
  }

  protected override reject(error: unknown): void {
    this.#failure = { error }
    this.#deliver()
  }

  #start(): void {
    this.#started = true
    this.#host.start(this).catch((error: unknown) => this.fail(error))
  }

  /** Hands out what has come to those who asked, then the end. */
  #deliver(): void {
    while (this.#turns.length > 0) {
      const item = this.#items.shift()
      if (item !== undefined) {
        this.#hand(item, this.#turns.shift()!)
        continue
      }
      if (!this.ended) return
      const turn = this.#turns.shift()!
      const failure = this.#failure
      this.#failure = undefined
      if (failure === undefined) turn.resolve({ value: undefined, done: true })
      else turn.reject(failure.error)
    }
  }

  #hand(item: BufferPtr, turn: Turn<Res>): void {
    this.#consumed++
    const limit = this.#consumed + this.window
    if (!this.ended && limit - this.#granted >= Math.ceil(this.window / 2)) {
      this.#granted = limit
      this.#host.credit(this.#server!, limit)
    }
    try {
      const value = this.replies.unpack(item)
      this.#current = item
      turn.resolve({ value, done: false })
    } catch (error) {
      turn.reject(error)
    }
  }

  #release(): void {
    this.#current?.release()
    this.#current = undefined
  }
}

export function serverLost(service: string): MillraceError {
  return new MillraceError(
    'ERR_MILLRACE_SERVER_LOST',
    `the server of service '${service}' that was running the request is gone: the request may or may not have had its effect`,
  )
}
