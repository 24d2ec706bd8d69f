import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { END, ERROR, ITEM, LOST } from '../native/generated/envelope.js'
import { UNLIMITED } from '../session/limits.js'
import type { Limits } from '../session/limits.js'
import type { PullSource, Taken } from '../session/pull-iterator.js'
import { WaitList } from '../session/wait-list.js'
import { Call } from './call.js'
import type { CallEndpoint } from './endpoint.js'
import { serverLost } from './endpoint.js'
import type { Envelope } from './envelope.js'

/** What a stream asks of its client. */
export interface StreamHost<Res> {
  /** Sends the request, which the first look at the stream asks for. Does not throw. */
  start(call: StreamCall<Res>): void
  /** Lets the server send items up to position `limit`. Does not throw. */
  credit(call: StreamCall<Res>, server: Envelope, limit: number): void
  /** Nobody wants the rest: tells the server. Does not throw. */
  leave(call: StreamCall<Res>): void
}

/** A request whose reply is a stream: where the iterator over it finds its items. */
export class StreamCall<Res> extends Call<Res> implements PullSource<BufferPtr, Res> {
  readonly window: number
  readonly #host: StreamHost<Res>
  readonly #items: BufferPtr[] = []
  /** The loop, while it waits for an item. */
  readonly #waiting = new WaitList(() => {})
  #started = false
  #server: Envelope | undefined
  #received = 0
  #consumed = 0
  #granted: number
  #failure: { error: unknown } | undefined

  constructor(endpoint: CallEndpoint<Res>, retries: number, window: number, host: StreamHost<Res>) {
    super(endpoint, retries)
    this.window = window
    this.#granted = window
    this.#host = host
  }

  override get begun(): boolean {
    return this.#server !== undefined
  }

  // What the iterator asks.

  take(done?: BufferPtr): Taken<BufferPtr> {
    done?.release()
    if (!this.#started) {
      this.#started = true
      // It may have ended before anybody looked.
      if (!this.ended) this.#host.start(this)
    }
    const item = this.#items.shift()
    if (item !== undefined) {
      this.#countConsumed()
      return item
    }
    if (!this.ended) return undefined
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure.error
    return null
  }

  async wait(limits: Limits): Promise<BufferPtr | null> {
    // Something may have come since the last try.
    const taken = this.take()
    if (taken !== undefined) return taken
    // The call ends the wait when its own time is over.
    const until = { ...UNLIMITED, cancel: limits.cancel }
    return await this.#waiting.add<BufferPtr | null>(() => this.take(), until, '')
  }

  value(item: BufferPtr): Res {
    try {
      return this.endpoint.replies.unpack(item)
    } catch (error) {
      // The loop has lost an item: it sees why, and then the end.
      this.end()
      throw error
    }
  }

  release(item: BufferPtr): void {
    item.release()
  }

  end(): void {
    this.#started = true
    if (!this.ended) {
      this.#host.leave(this)
      this.finish()
    }
    for (const item of this.#items.splice(0)) discard(item)
    this.#failure = undefined
  }

  // What the client brings.

  override accept(envelope: Envelope, message: BufferPtr): void {
    const { kind, detail, run } = envelope
    const isNext = detail === this.#received
    if (this.#server !== undefined && run !== this.#server.run) {
      discard(message)
      this.#host.leave(this)
      return this.fail(serverLost(this.endpoint, this.#server.slot, this.#server.epoch))
    }
    if (kind === ITEM && isNext) {
      this.#server ??= envelope
      this.#received = (this.#received + 1) >>> 0
      this.#items.push(message)
    } else if (kind === END && isNext) {
      discard(message)
      this.finish()
    } else {
      // Of a run that has not ended by itself nobody wants the rest.
      if (kind !== ERROR && kind !== LOST) this.#host.leave(this)
      return this.fail(this.failure(envelope, message))
    }
    this.#waiting.pump()
  }

  protected override reject(error: unknown): void {
    this.#failure = { error }
    this.#waiting.pump()
  }

  #countConsumed(): void {
    this.#consumed++
    const limit = this.#consumed + this.window
    if (this.ended || limit - this.#granted < Math.ceil(this.window / 2)) return
    this.#granted = limit
    this.#host.credit(this, this.#server!, limit)
  }
}
