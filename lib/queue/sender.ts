import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { checkSendable, markSent, nameChecked, nameToSend } from '../memory/buffer-ptr.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_CLOSED, STATUS_FULL, STATUS_NOT_FOUND, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { BlockingOptions, Limits, WaitOptions } from '../session/limits.js'
import { OVERFLOWS } from '../native/words.js'
import { limitsOf } from '../session/limits.js'
import { tellSent } from '../session/passing.js'
import { Semaphore } from '../session/semaphore.js'
import type { Session } from '../session/session.js'
import type { WaitKey } from '../session/wait-key.js'
import { spaceIn } from '../session/wait-key.js'

const REJECT = OVERFLOWS.indexOf('reject')

/** The sending side of a queue. */
export class Sender {
  readonly #session: Session
  readonly #queue: number
  readonly #subject: string
  readonly #told: boolean
  readonly #space: WaitKey
  readonly #noSpace: string
  /** Who sends, or puts, in the order in which they came. */
  readonly #turn: Semaphore

  /** `told`: what it sends is told by {@link tellSent}, not by its owner. */
  constructor(session: Session, queue: number, subject: string, told = true) {
    this.#session = session
    this.#told = told
    this.#queue = queue
    this.#subject = subject
    this.#space = spaceIn(queue)
    this.#noSpace = `no space came free on ${subject}`
    this.#turn = new Semaphore(1, this.#noSpace, session.waits.turns)
  }

  trySend(buffer: BufferPtr): boolean {
    nameToSend(0, buffer, this.#session)
    if (!this.offerNamed()) return false
    markSent(buffer)
    return true
  }

  /** Sends a prefix of `buffers`; returns its length. */
  sendMany(buffers: readonly BufferPtr[]): number {
    const session = this.#session
    const list = checkSendable(buffers, session)
    let sent = 0
    while (sent < list.length) {
      const count = Math.min(list.length - sent, BATCH_MAX)
      for (let i = 0; i < count; i++) nameChecked(i, list[sent + i]!)
      const status = native.send(session.handle, this.#queue, count)
      const accepted = native.resultCount()
      for (const end = sent + accepted; sent < end;) markSent(list[sent++]!)
      this.sent(accepted)
      if (status !== STATUS_OK) {
        this.refuse(status)
        break
      }
    }
    return sent
  }

  send(buffer: BufferPtr, options: WaitOptions | undefined): Promise<void> {
    try {
      const limits = limitsOf(options)
      if (!this.crowded && this.trySend(buffer)) return this.done()
      return this.sendLater(buffer, limits)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** What a call returns that need not wait. */
  done(): Promise<void> {
    return this.#session.waits.done()
  }

  /** Sends `buffer` after those who wait already. `owned`: it is released if it cannot be sent. */
  async sendLater(buffer: BufferPtr, limits: Limits, owned = false): Promise<void> {
    try {
      await this.inTurn(limits, () => this.wait(limits, () => this.#attempt(buffer)))
    } finally {
      if (owned) discard(buffer)
    }
  }

  /** Sends `buffer`, of which nobody else knows, for a caller that has its turn. */
  async sendInTurn(buffer: BufferPtr, limits: Limits): Promise<void> {
    try {
      await this.wait(limits, () => this.#attempt(buffer))
    } finally {
      discard(buffer)
    }
  }

  sendSync(buffer: BufferPtr, options: BlockingOptions | undefined): void {
    this.#session.waits.waitSync(this.#space, options, this.#noSpace, () => this.#attempt(buffer))
  }

  /** Whether others wait to send: then newcomers queue up behind, so that order is kept. */
  get crowded(): boolean {
    return this.#turn.busy
  }

  /** Runs `work` when everybody who came earlier is through: at once if nobody is there. */
  inTurn<R>(limits: Limits, work: () => Promise<R>): Promise<R> {
    return this.#turn.tryEnter() ? this.#run(work) : this.#turn.enter(limits).then(() => this.#run(work))
  }

  /** Waits for room, until `attempt` succeeds. */
  wait<T>(limits: Limits, attempt: () => T | undefined, tried = false): Promise<T> {
    return this.#session.waits.wait(this.#space, limits, this.#noSpace, attempt, tried)
  }

  /** Waits for the queue to exist, with the codec that a value needs that is no bytes, until `attempt` succeeds. */
  exists<T>(limits: Limits, attempt: () => T | undefined): Promise<T> {
    return this.#session.waits.wait(this.#space, limits, `the codec of ${this.#subject} was not named`, attempt)
  }

  /** Offers the buffer that has been named to the queue. False: full, closed, or not there yet. */
  offerNamed(): boolean {
    const status = native.send(this.#session.handle, this.#queue, 1)
    if (status !== STATUS_OK) return this.refuse(status)
    this.sent(1)
    return true
  }

  /** So many messages have been sent. */
  sent(count: number): void {
    if (this.#told) tellSent(this.#session, this.#subject, count)
  }

  /** False if the queue takes nothing now, throws if it is a failure. */
  refuse(status: native.Status): false {
    if (status === STATUS_FULL || status === STATUS_NOT_FOUND || status === STATUS_CLOSED) return false
    throw this.#session.failure(status, this.#subject)
  }

  /** Returns if waiting can help, throws if it cannot. */
  mustWait(status: native.Status): undefined {
    if (status === STATUS_NOT_FOUND) return undefined
    if (status === STATUS_FULL && !this.#rejects()) return undefined
    throw this.#session.failure(status, this.#subject)
  }

  async #run<R>(work: () => Promise<R>): Promise<R> {
    try {
      return await work()
    } finally {
      this.#turn.leave()
    }
  }

  #attempt(buffer: BufferPtr): true | undefined {
    nameToSend(0, buffer, this.#session)
    const status = native.send(this.#session.handle, this.#queue, 1)
    if (status !== STATUS_OK) return this.mustWait(status)
    markSent(buffer)
    this.sent(1)
    return true
  }

  #rejects(): boolean {
    return this.#session.call((open) => open.queueInfo(this.#queue))?.overflow === REJECT
  }
}
