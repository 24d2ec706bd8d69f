import type { BufferPtr } from '../memory/buffer-ptr.js'
import { markSent, nameToSend } from '../memory/buffer-ptr.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_CLOSED, STATUS_FULL, STATUS_NOT_FOUND, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { BlockingOptions, WaitOptions } from '../options.js'
import { checkWait, OVERFLOWS } from '../options.js'
import type { Session } from '../session/session.js'
import type { Target } from '../session/wait-key.js'
import { spaceIn } from '../session/wait-key.js'

const DONE = Promise.resolve()
const REJECT = OVERFLOWS.indexOf('reject')

/** The sending side of a queue. */
export class Outbox {
  readonly #session: Session
  readonly #queue: number
  readonly #subject: string
  readonly #space: Target
  readonly #noSpace: string

  constructor(session: Session, queue: number, subject: string) {
    this.#session = session
    this.#queue = queue
    this.#subject = subject
    this.#space = spaceIn(queue)
    this.#noSpace = `no space came free on ${subject}`
  }

  trySend(buffer: BufferPtr): boolean {
    nameToSend(0, buffer, this.#session)
    if (!this.offerNamed()) return false
    markSent(buffer)
    return true
  }

  /** Sends a prefix of `buffers`; answers its length. */
  sendMany(buffers: readonly BufferPtr[]): number {
    const session = this.#session
    let sent = 0
    while (sent < buffers.length) {
      const count = Math.min(buffers.length - sent, BATCH_MAX)
      for (let i = 0; i < count; i++) nameToSend(i, buffers[sent + i]!, session)
      const status = native.send(session.handle, this.#queue, count)
      const end = sent + native.resultCount()
      while (sent < end) markSent(buffers[sent++]!)
      if (status !== STATUS_OK) {
        this.refuse(status)
        break
      }
    }
    return sent
  }

  send(buffer: BufferPtr, options: WaitOptions | undefined): Promise<void> {
    try {
      checkWait(options)
      if (!this.crowded && this.trySend(buffer)) return DONE
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#sendLater(buffer, options)
  }

  sendSync(buffer: BufferPtr, options: BlockingOptions | undefined): void {
    this.#session.waiting.waitSync(this.#space, options, this.#noSpace, () => this.#attempt(buffer))
  }

  /** Whether others wait for room: then newcomers queue up behind. */
  get crowded(): boolean {
    return this.#session.waiting.has(this.#space)
  }

  /** Waits for room, until `attempt` succeeds. */
  wait<T>(options: WaitOptions | undefined, attempt: () => T | undefined): Promise<T> {
    return this.#session.waiting.wait(this.#space, options, this.#noSpace, attempt)
  }

  /** Waits for the queue to exist, until `attempt` succeeds. */
  exists<T>(options: WaitOptions | undefined, attempt: () => T | undefined): Promise<T> {
    return this.#session.waiting.wait(this.#space, options, `${this.#subject} was not created`, attempt)
  }

  /** Offers the buffer that has been named to the queue. False: full, closed, or not there yet. */
  offerNamed(): boolean {
    const status = native.send(this.#session.handle, this.#queue, 1)
    return status === STATUS_OK || this.refuse(status)
  }

  /** False if that is an answer, throws if it is a failure. */
  refuse(status: native.Status): false {
    if (status === STATUS_FULL || status === STATUS_NOT_FOUND || status === STATUS_CLOSED) return false
    throw this.#session.failure(status, this.#subject)
  }

  #attempt(buffer: BufferPtr): true | undefined {
    nameToSend(0, buffer, this.#session)
    const status = native.send(this.#session.handle, this.#queue, 1)
    if (status !== STATUS_OK) return this.mustWait(status)
    markSent(buffer)
    return true
  }

  /** Returns if waiting can help, throws if it cannot. */
  mustWait(status: native.Status): undefined {
    if (status === STATUS_NOT_FOUND) return undefined
    if (status === STATUS_FULL && !this.#rejects()) return undefined
    throw this.#session.failure(status, this.#subject)
  }

  #rejects(): boolean {
    return this.#session.call((open) => open.queueInfo(this.#queue))?.overflow === REJECT
  }

  async #sendLater(buffer: BufferPtr, options: WaitOptions | undefined): Promise<void> {
    await this.wait(options, () => this.#attempt(buffer))
  }
}
