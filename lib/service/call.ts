import { MillraceError } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { END, ERROR, LOST, VALUE } from '../native/generated/envelope.js'
import { Cancel } from '../session/cancel.js'
import type { CallEndpoint } from './endpoint.js'
import { serverLost } from './endpoint.js'
import type { Envelope } from './envelope.js'
import { decodeFailure } from './failure.js'

/** How far a call has come, for the message of a timeout. */
export type Phase = 'turn' | 'memory' | 'sent'

/** A request under way, at its client. */
export abstract class Call<Res> {
  /** Its number, once the request has been written. */
  id = 0
  /** A reference to the request, by which it can be seen and cancelled wherever it is. */
  tracker: BufferPtr | undefined
  phase: Phase = 'turn'
  ended = false
  /** Ends what the request waits for before it is in the queue. */
  readonly cancel = new Cancel()
  /** How often it may be run again. */
  readonly retries: number
  protected readonly endpoint: CallEndpoint<Res>
  readonly #ends: (() => void)[] = []

  constructor(endpoint: CallEndpoint<Res>, retries: number) {
    this.endpoint = endpoint
    this.retries = retries
  }

  /** Items of the reply that may be under way; 0: the reply is one value. */
  abstract readonly window: number

  /** Whether part of the reply has come: then another run cannot replace this one. */
  abstract readonly begun: boolean

  /** Takes over a message that replies to the request. Does not throw. */
  abstract accept(envelope: Envelope, message: BufferPtr): void

  /** Ends it with an error, unless it has ended. */
  fail(error: unknown): void {
    if (this.ended) return
    this.finish()
    this.reject(error)
  }

  /** Adds what to undo when it is over. */
  onEnd(undo: () => void): void {
    if (this.ended) undo()
    else this.#ends.push(undo)
  }

  protected abstract reject(error: unknown): void

  /** Ends what belongs to it. Returns why the request could not be released: others have damaged its memory. Does not throw. */
  protected finish(): unknown {
    this.ended = true
    this.cancel.cancel()
    for (const undo of this.#ends) undo()
    try {
      this.tracker?.release()
      return undefined
    } catch (error) {
      return error
    }
  }

  /** The error that a message means which is no value. */
  protected failure({ kind, slot, epoch }: Envelope, message: BufferPtr): Error {
    const origin = `service "${this.endpoint.name}", participant ${slot}`
    try {
      if (kind === ERROR) return decodeFailure(message.bytes, origin)
      if (kind === LOST) return serverLost(this.endpoint, slot, epoch)
      return new MillraceError('ERR_MILLRACE_CORRUPT', `${origin} answered with message kind ${kind}`)
    } finally {
      discard(message)
    }
  }
}

/** A request whose reply is one value. */
export class Single<Res> extends Call<Res> {
  readonly window = 0
  readonly begun = false
  readonly promise: Promise<Res>
  #resolve!: (value: Res) => void
  #reject!: (error: unknown) => void

  constructor(endpoint: CallEndpoint<Res>, retries: number) {
    super(endpoint, retries)
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  override accept(envelope: Envelope, message: BufferPtr): void {
    const { kind } = envelope
    if (kind !== VALUE && kind !== END) return this.fail(this.failure(envelope, message))
    let value: Res
    try {
      value = kind === VALUE ? this.endpoint.replies.unpack(message) : this.#nothing(message)
    } catch (error) {
      return this.fail(error)
    }
    const damage = this.finish()
    if (damage === undefined) this.#resolve(value)
    else this.#reject(damage)
  }

  protected override reject(error: unknown): void {
    this.#reject(error)
  }

  /** A reply that ends without a value. */
  #nothing(message: BufferPtr): Res {
    message.release()
    return undefined as Res
  }
}
