import type { SharedBufferAllocator } from './allocator.js'
import { allocateIds, checkBytes } from './allocator.js'
import { BufferPtr, idOf, markSent, nameToSend } from './buffer-ptr.js'
import type { Encoded } from './codec.js'
import { BATCH_MAX } from './generated/block.js'
import { STATUS_CLOSED, STATUS_EXHAUSTED, STATUS_FULL, STATUS_NOT_FOUND, STATUS_OK } from './generated/codes.js'
import * as native from './native.js'
import type { BlockingOptions, WaitOptions } from './options.js'
import { checkWait, OVERFLOWS } from './options.js'
import type { Session } from './session.js'
import { releaseNamed } from './settle.js'
import { byteLengthOf, runOf, store } from './store.js'
import type { Target } from './target.js'
import { spaceIn } from './target.js'
import { budgetOf } from './waiter.js'

const DONE = Promise.resolve()
const NONE = -1
const REJECT = OVERFLOWS.indexOf('reject')

/** The sending side of a queue. */
export class Outbox {
  readonly #session: Session
  readonly #allocator: SharedBufferAllocator
  readonly #queue: number
  readonly #subject: string
  readonly #space: Target
  readonly #noSpace: string

  constructor(session: Session, allocator: SharedBufferAllocator, queue: number, subject: string) {
    this.#session = session
    this.#allocator = allocator
    this.#queue = queue
    this.#subject = subject
    this.#space = spaceIn(queue)
    this.#noSpace = `no space came free on ${subject}`
  }

  trySend(buffer: BufferPtr): boolean {
    nameToSend(0, buffer, this.#session)
    if (!this.#offerNamed()) return false
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
        this.#refuse(status)
        break
      }
    }
    return sent
  }

  send(buffer: BufferPtr, options: WaitOptions | undefined): Promise<void> {
    try {
      checkWait(options)
      if (!this.#session.waiting.has(this.#space) && this.trySend(buffer)) return DONE
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#sendLater(buffer, options)
  }

  sendSync(buffer: BufferPtr, options: BlockingOptions | undefined): void {
    this.#session.waiting.waitSync(this.#space, options, this.#noSpace, () => this.#attempt(buffer))
  }

  /** Waits for the queue to exist, until `attempt` succeeds. */
  exists<T>(options: WaitOptions | undefined, attempt: () => T | undefined): Promise<T> {
    return this.#session.waiting.wait(this.#space, options, `${this.#subject} was not created`, attempt)
  }

  tryPut(encoded: Encoded): boolean {
    const id = this.#tryStore(encoded)
    if (id !== NONE) {
      const accepted = this.#offerOwn(id)
      if (!accepted) this.#giveBack([id], 0)
      return accepted
    }
    if (this.#session.exhausted === 'wait') return false
    throw this.#session.allocationFailure(STATUS_EXHAUSTED, byteLengthOf(encoded))
  }

  put(encoded: Encoded, options: WaitOptions | undefined): Promise<void> {
    let buffer: BufferPtr | undefined
    try {
      checkWait(options)
      const id = this.#tryStore(encoded)
      if (id !== NONE) {
        if (!this.#session.waiting.has(this.#space) && this.#offerOwn(id)) return DONE
        buffer = new BufferPtr(this.#session, id, 0, 0, 0)
      }
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#putLater(encoded, buffer, options)
  }

  async putMany(list: readonly Encoded[], options: WaitOptions | undefined): Promise<void> {
    checkWait(options)
    const budget = budgetOf(options)
    const ids = new Uint32Array(Math.min(list.length, BATCH_MAX))
    for (let done = 0; done < list.length;) {
      const stored = this.#storeMany(list, done, ids)
      if (stored === 0) await this.#putLater(list[done]!, undefined, budget())
      else await this.#sendAll(ids.subarray(0, stored), budget())
      done += stored || 1
    }
  }

  /** Offers the buffer that has been named to the queue. False: full, closed, or not there yet. */
  #offerNamed(): boolean {
    const status = native.send(this.#session.handle, this.#queue, 1)
    return status === STATUS_OK || this.#refuse(status)
  }

  /** The same with a buffer that only we know of. */
  #offerOwn(id: number): boolean {
    try {
      native.setId(0, id, 0)
      return this.#offerNamed()
    } catch (error) {
      this.#giveBack([id], 0)
      throw error
    }
  }

  #refuse(status: native.Status): false {
    if (status === STATUS_FULL || status === STATUS_NOT_FOUND || status === STATUS_CLOSED) return false
    throw this.#session.failure(status, this.#subject)
  }

  #attempt(buffer: BufferPtr): true | undefined {
    nameToSend(0, buffer, this.#session)
    const status = native.send(this.#session.handle, this.#queue, 1)
    if (status !== STATUS_OK) return this.#mustWait(status)
    markSent(buffer)
    return true
  }

  /** Returns if waiting can help, throws if it cannot. */
  #mustWait(status: native.Status): undefined {
    if (status === STATUS_NOT_FOUND) return undefined
    if (status === STATUS_FULL && !this.#rejects()) return undefined
    throw this.#session.failure(status, this.#subject)
  }

  #rejects(): boolean {
    return this.#session.call((open) => open.queueInfo(this.#queue))?.overflow === REJECT
  }

  async #sendLater(buffer: BufferPtr, options: WaitOptions | undefined): Promise<void> {
    await this.#session.waiting.wait(this.#space, options, this.#noSpace, () => this.#attempt(buffer))
  }

  /** Sends every one of `ids`; gives back what could not be sent. */
  async #sendAll(ids: Uint32Array, options: WaitOptions | undefined): Promise<void> {
    let sent = 0
    const attempt = () => {
      for (let i = sent; i < ids.length; i++) native.setId(i - sent, ids[i]!, 0)
      const status = native.send(this.#session.handle, this.#queue, ids.length - sent)
      sent += native.resultCount()
      return status === STATUS_OK ? true : this.#mustWait(status)
    }
    try {
      await this.#session.waiting.wait(this.#space, options, this.#noSpace, attempt)
    } catch (error) {
      this.#giveBack(ids, sent)
      throw error
    }
  }

  async #putLater(encoded: Encoded, stored: BufferPtr | undefined, options: WaitOptions | undefined): Promise<void> {
    const budget = budgetOf(options)
    const buffer = stored ?? (await this.#allocateLater(byteLengthOf(encoded), budget()))
    try {
      if (stored === undefined) store(this.#session, idOf(buffer), encoded)
      await this.send(buffer, budget())
    } finally {
      buffer.release()
    }
  }

  async #allocateLater(bytes: number, options: WaitOptions | undefined): Promise<BufferPtr> {
    if (this.#session.exhausted === 'wait') return await this.#allocator.allocateAsync(bytes, options)
    return this.#allocator.allocate(bytes)
  }

  /** A buffer that holds `encoded`, or NONE when the pool is exhausted. */
  #tryStore(encoded: Encoded): number {
    const session = this.#session
    const bytes = byteLengthOf(encoded)
    checkBytes(bytes)
    const status = native.allocate(session.handle, 1, bytes)
    if (status === STATUS_EXHAUSTED) return NONE
    if (status !== STATUS_OK) throw session.allocationFailure(status, bytes)
    const id = native.idAt(0)
    try {
      store(session, id, encoded)
    } catch (error) {
      this.#giveBack([id], 0)
      throw error
    }
    return id
  }

  /** Stores items of `list` from `from` on into buffers; answers how many, fewer when the pool is exhausted. */
  #storeMany(list: readonly Encoded[], from: number, ids: Uint32Array): number {
    const count = Math.min(list.length - from, ids.length)
    let stored = 0
    let allocated = 0
    try {
      while (stored < count) {
        const run = runOf(list, from + stored, from + count)
        allocated += allocateIds(this.#session, run.bytes, ids.subarray(allocated), run.length)
        const wanted = stored + run.length
        while (stored < allocated) {
          store(this.#session, ids[stored]!, list[from + stored]!)
          stored++
        }
        if (allocated < wanted) break
      }
    } catch (error) {
      this.#giveBack(ids.subarray(0, allocated), 0)
      throw error
    }
    return stored
  }

  #giveBack(ids: ArrayLike<number>, from: number): void {
    for (let i = from; i < ids.length; i++) native.setId(i - from, ids[i]!, 0)
    if (ids.length > from) releaseNamed(this.#session, ids.length - from)
  }
}
