import { MillraceError } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { Cancel } from '../session/cancel.js'
import type { Limits } from '../session/limits.js'
import { UNLIMITED } from '../session/limits.js'
import type { Envelope } from './envelope.js'
import { timeUntil } from './envelope.js'

/** What a handler learns of a request beside its value. */
export interface RequestContext {
  /** Aborts when nobody wants the reply any more: the client gave up or is gone, the deadline is over, or the server closes. */
  readonly signal: AbortSignal
  /** Time until the deadline of the request, in ms; Infinity if it has none. */
  readonly timeLeft: number
  /** Slot of the participant that asks. */
  readonly client: number
  /** Which run of the request this is: 1 is the first, more follow the death of a server. */
  readonly attempt: number
  /** The message itself, which is released after the handler. */
  readonly message: BufferPtr
}

/** One run of one request, at its server. */
export class Run implements RequestContext {
  readonly envelope: Envelope
  readonly message: BufferPtr
  readonly attempt: number
  /** Ends what the run waits for when nobody wants the reply any more; its reason is the signal's. */
  readonly cancel = new Cancel()
  /** Of a stream that nobody wants any more: settles when its source has come to its end. */
  rest: Promise<unknown> | undefined
  #limits: Limits | undefined
  #ending: AbortController | undefined
  #timer: NodeJS.Timeout | undefined
  /** Position up to which the client takes items of the stream. */
  #limit: number
  #onCredit: (() => void) | undefined

  constructor(envelope: Envelope, message: BufferPtr, attempt: number) {
    this.envelope = envelope
    this.message = message
    this.attempt = attempt
    this.#limit = envelope.window
  }

  /** Made when it is first asked for: most handlers never look at it. */
  get signal(): AbortSignal {
    if (this.#ending === undefined) {
      this.#ending = new AbortController()
      if (this.cancel.cancelled) this.#ending.abort(this.cancel.reason)
      else this.heedDeadline()
    }
    return this.#ending.signal
  }

  get timeLeft(): number {
    return this.envelope.limited ? timeUntil(this.envelope.detail) : Infinity
  }

  get client(): number {
    return this.envelope.slot
  }

  /** What ends the waits of its replies: that nobody wants them any more. */
  get limits(): Limits {
    return (this.#limits ??= { ...UNLIMITED, cancel: this.cancel, hold: false })
  }

  /** Whether nobody waits for the reply any more. */
  get unwanted(): boolean {
    return this.cancel.cancelled || this.timeLeft <= 0
  }

  abort(reason: unknown): void {
    if (this.cancel.cancelled) return
    this.cancel.cancel(reason)
    this.#ending?.abort(reason)
  }

  abortUnreachable(): void {
    this.abort(new MillraceError('ERR_MILLRACE_CLOSED', `the client, participant ${this.client}, is gone`))
  }

  /** From now on the run is aborted at its deadline, also if nothing else looks at the time. */
  heedDeadline(): void {
    if (!this.envelope.limited || this.#timer !== undefined) return
    const expire = () => this.abort(new MillraceError('ERR_MILLRACE_TIMEOUT', 'the deadline of the request is over'))
    this.#timer = setTimeout(expire, Math.max(0, this.timeLeft)).unref()
  }

  /** The client takes items of the stream up to position `limit`. */
  grant(limit: number): void {
    // Positions wrap, so only the distance counts.
    if (((limit - this.#limit) | 0) > 0) this.#limit = limit >>> 0
    this.#onCredit?.()
  }

  /** Waits until the client takes item `position`. False: nobody wants it. */
  async mayYield(position: number): Promise<boolean> {
    while (((this.#limit - position) | 0) <= 0 && !this.unwanted) {
      await this.whileWanted(new Promise<void>((resolve) => (this.#onCredit = resolve)))
    }
    return !this.unwanted
  }

  /** What `promise` brings; undefined as soon as nobody wants the reply any more. Then `late` gets what comes after all. */
  whileWanted<T>(promise: Promise<T>, late?: (value: T) => void): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const off = this.cancel.onCancel(() => resolve(undefined))
      const bring = (value: T) => {
        off()
        if (this.cancel.cancelled) late?.(value)
        resolve(value)
      }
      const fail = (error: unknown) => {
        off()
        reject(error)
      }
      promise.then(bring).catch(fail)
    })
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}
