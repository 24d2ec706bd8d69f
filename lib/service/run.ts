import { onAbort } from '../session/cancel.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { MillraceError } from '../errors.js'
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
  #ending: AbortController | undefined
  #reason: unknown
  #timer: NodeJS.Timeout | undefined
  #aborted = false
  #limit: number
  #onCredit: (() => void) | undefined

  constructor(envelope: Envelope, message: BufferPtr, attempt: number) {
    this.envelope = envelope
    this.message = message
    this.attempt = attempt
    this.#limit = envelope.window
  }

  get signal(): AbortSignal {
    return this.#controller().signal
  }

  get timeLeft(): number {
    return this.envelope.limited ? timeUntil(this.envelope.detail) : Infinity
  }

  get client(): number {
    return this.envelope.slot
  }

  /** Whether nobody waits for the reply any more. */
  get unwanted(): boolean {
    return this.#aborted || this.timeLeft <= 0
  }

  abort(reason: unknown): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#reason = reason
    this.#ending?.abort(reason)
    this.#onCredit?.()
  }

  /** The client takes items of the stream up to position `limit`. */
  grant(limit: number): void {
    // Positions wrap, so only the distance counts.
    if (((limit - this.#limit) | 0) > 0) this.#limit = limit >>> 0
    this.#onCredit?.()
  }

  /** Waits until the client takes item `position`, or nobody wants it. */
  async mayYield(position: number): Promise<void> {
    const { signal } = this
    while (((this.#limit - position) | 0) <= 0 && !this.unwanted) {
      await new Promise<void>((resolve) => {
        const off = onAbort(signal, resolve)
        this.#onCredit = () => {
          off()
          resolve()
        }
      })
      this.#onCredit = undefined
    }
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  /** Made when it is first asked for: most handlers never look at their signal. */
  #controller(): AbortController {
    if (this.#ending !== undefined) return this.#ending
    this.#ending = new AbortController()
    if (this.#aborted) this.#ending.abort(this.#reason)
    else if (this.envelope.limited) {
      const expire = () => this.abort(new MillraceError('ERR_MILLRACE_TIMEOUT', 'the deadline of the request is over'))
      this.#timer = setTimeout(expire, Math.max(0, this.timeLeft)).unref()
    }
    return this.#ending
  }
}
