import type { SharedBufferAllocator } from '../memory/allocator.js'
import { allocateIds, checkBytes } from '../memory/allocator.js'
import { BufferPtr, idOf } from '../memory/buffer-ptr.js'
import type { Encoded } from '../codec/codec.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_EXHAUSTED, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { WaitOptions } from '../options.js'
import { checkWait } from '../options.js'
import type { Outbox } from './sender.js'
import type { Session } from '../session/session.js'
import { releaseNamed } from '../memory/release.js'
import { NOT_STAGED, stageAt } from './staging.js'
import { byteLengthOf, runOf, store } from '../memory/store.js'
import { budgetOf } from '../session/waiter.js'

const DONE = Promise.resolve()
const NONE = -1

/**
 * Copies values into a queue. Small ones go over the stage: native code finds buffers, fills and sends them in one crossing. Others
 * are written into their buffers from here, once.
 */
export class Putter {
  readonly #session: Session
  readonly #allocator: SharedBufferAllocator
  readonly #outbox: Outbox
  readonly #queue: number

  constructor(session: Session, allocator: SharedBufferAllocator, outbox: Outbox, queue: number) {
    this.#session = session
    this.#allocator = allocator
    this.#outbox = outbox
    this.#queue = queue
  }

  tryPut(encoded: Encoded): boolean {
    const status = this.#tryStaged(encoded)
    if (status === STATUS_OK) return true
    if (status !== undefined && status !== STATUS_EXHAUSTED) return this.#outbox.refuse(status)
    const id = status === undefined ? this.#tryStore(encoded) : NONE
    if (id !== NONE) {
      const accepted = this.#offer(id)
      if (!accepted) this.#giveBack([id], 0)
      return accepted
    }
    if (this.#session.exhausted === 'wait') return false
    throw this.#exhausted(encoded)
  }

  put(encoded: Encoded, options: WaitOptions | undefined): Promise<void> {
    let buffer: BufferPtr | undefined
    try {
      checkWait(options)
      const { crowded } = this.#outbox
      if (!crowded && this.#tryStaged(encoded) === STATUS_OK) return DONE
      // It is copied before this returns: the caller may go on to use what it was copied from.
      const id = this.#tryStore(encoded)
      if (id !== NONE) {
        if (!crowded && this.#offer(id)) return DONE
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
    let done = 0
    let exhausted = false
    const attempt = (): true | undefined => {
      const staged = stageMany(list, done)
      if (staged === 0) return true
      const status = native.put(this.#session.handle, this.#queue, staged)
      done += native.resultCount()
      exhausted = status === STATUS_EXHAUSTED
      return status === STATUS_OK || exhausted ? true : this.#outbox.mustWait(status)
    }
    while (done < list.length) {
      const before = done
      if (this.#outbox.crowded || attempt() === undefined) await this.#outbox.wait(budget(), attempt)
      if (exhausted) await this.#putLater(list[done++]!, undefined, budget())
      else if (done === before) done += await this.#putLarge(list, done, budget())
    }
  }

  /** Undefined: it is not for the stage. */
  #tryStaged(encoded: Encoded): native.Status | undefined {
    if (stageAt(0, 0, encoded) === NOT_STAGED) return undefined
    return native.put(this.#session.handle, this.#queue, 1)
  }

  #exhausted(encoded: Encoded): Error {
    return this.#session.allocationFailure(STATUS_EXHAUSTED, byteLengthOf(encoded))
  }

  /** Offers a buffer that only we know of to the queue. */
  #offer(id: number): boolean {
    try {
      native.setId(0, id, 0)
      return this.#outbox.offerNamed()
    } catch (error) {
      this.#giveBack([id], 0)
      throw error
    }
  }

  /** Stores a run of items that are not for the stage and sends them; answers how many. */
  async #putLarge(list: readonly Encoded[], from: number, options: WaitOptions | undefined): Promise<number> {
    const budget = budgetOf(options)
    const ids = new Uint32Array(Math.min(list.length - from, BATCH_MAX))
    const stored = this.#storeMany(list, from, ids)
    if (stored === 0) await this.#putLater(list[from]!, undefined, budget())
    else await this.#sendAll(ids.subarray(0, stored), budget())
    return stored || 1
  }

  /** Sends every one of `ids`; gives back what could not be sent. */
  async #sendAll(ids: Uint32Array, options: WaitOptions | undefined): Promise<void> {
    let sent = 0
    const attempt = () => {
      for (let i = sent; i < ids.length; i++) native.setId(i - sent, ids[i]!, 0)
      const status = native.send(this.#session.handle, this.#queue, ids.length - sent)
      sent += native.resultCount()
      return status === STATUS_OK ? true : this.#outbox.mustWait(status)
    }
    try {
      await this.#outbox.wait(options, attempt)
    } catch (error) {
      this.#giveBack(ids, sent)
      throw error
    }
  }

  async #putLater(encoded: Encoded, stored: BufferPtr | undefined, options: WaitOptions | undefined): Promise<void> {
    const budget = budgetOf(options)
    let buffer = stored ?? (await this.#allocateLater(byteLengthOf(encoded), budget()))
    try {
      // Twice at most: a length that was guessed has been set right.
      if (stored === undefined && !store(this.#session, idOf(buffer), encoded)) {
        buffer.release()
        buffer = await this.#allocateLater(byteLengthOf(encoded), budget())
        store(this.#session, idOf(buffer), encoded)
      }
      await this.#outbox.send(buffer, budget())
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
    let stored = false
    try {
      stored = store(session, id, encoded)
    } finally {
      if (!stored) this.#giveBack([id], 0)
    }
    return stored ? id : this.#tryStore(encoded)
  }

  /** Stores items of `list` from `from` on into buffers; answers how many, fewer when the pool is exhausted or a length was guessed. */
  #storeMany(list: readonly Encoded[], from: number, ids: Uint32Array): number {
    const count = Math.min(list.length - from, ids.length)
    let stored = 0
    let allocated = 0
    try {
      while (stored < count) {
        const run = runOf(list, from + stored, from + count)
        allocated += allocateIds(this.#session, run.bytes, ids.subarray(allocated), run.length)
        const wanted = stored + run.length
        while (stored < allocated && store(this.#session, ids[stored]!, list[from + stored]!)) stored++
        if (stored < wanted) break
      }
    } catch (error) {
      this.#giveBack(ids.subarray(0, allocated), 0)
      throw error
    }
    this.#giveBack(ids.subarray(0, allocated), stored)
    return stored
  }

  #giveBack(ids: ArrayLike<number>, from: number): void {
    for (let i = from; i < ids.length; i++) native.setId(i - from, ids[i]!, 0)
    if (ids.length > from) releaseNamed(this.#session, ids.length - from)
  }
}

/** Puts items of `list` from `from` on onto the stage; answers how many. */
function stageMany(list: readonly Encoded[], from: number): number {
  const count = Math.min(list.length - from, BATCH_MAX)
  let end = 0
  for (let i = 0; i < count; i++) {
    end = stageAt(i, end, list[from + i]!)
    if (end === NOT_STAGED) return i
  }
  return count
}
