import type { Encoded } from '../codec/codec.js'
import { allocateIds } from '../memory/allocator.js'
import { BufferPtr, NO_ID } from '../memory/buffer-ptr.js'
import { releaseIds } from '../memory/release.js'
import { detachEncoded, mustWaitForMemory, runOf, store, storeEncoded, storeLater } from '../memory/store.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_EXHAUSTED, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { Limits } from '../session/limits.js'
import type { Session } from '../session/session.js'
import type { Progress } from './progress.js'
import type { Sender } from './sender.js'
import { NOT_STAGED, stageAt } from './staging.js'

const NOTHING = new Uint32Array(0)

/**
 * Copies values into a queue. Small ones go over the stage: native code finds buffers, fills and sends them in one crossing. Others
 * are written into their buffers from here, once. What a call was given is copied before the call returns.
 */
export class ValueWriter {
  readonly #session: Session
  readonly #sender: Sender
  readonly #queue: number

  constructor(session: Session, sender: Sender, queue: number) {
    this.#session = session
    this.#sender = sender
    this.#queue = queue
  }

  exists<T>(limits: Limits, attempt: () => T | undefined): Promise<T> {
    return this.#sender.exists(limits, attempt)
  }

  tryPut(encoded: Encoded): boolean {
    const status = this.#tryStaged(encoded)
    if (status === STATUS_OK) return true
    if (status !== undefined && status !== STATUS_EXHAUSTED) return this.#sender.refuse(status)
    const id = status === undefined ? storeEncoded(this.#session, encoded) : NO_ID
    if (id !== NO_ID) {
      const accepted = this.#offer(id)
      if (!accepted) releaseIds(this.#session, [id])
      return accepted
    }
    mustWaitForMemory(this.#session, encoded)
    return false
  }

  put(encoded: Encoded, limits: Limits): Promise<void> {
    const { crowded } = this.#sender
    if (!crowded && this.#tryStaged(encoded) === STATUS_OK) return this.#sender.done()
    const id = storeEncoded(this.#session, encoded)
    if (id === NO_ID) {
      const detached = detachEncoded(encoded)
      return this.#sender.inTurn(limits, () => this.#putOne(detached, limits))
    }
    if (!crowded && this.#offer(id)) return this.#sender.done()
    return this.#sender.sendLater(new BufferPtr(this.#session, id), limits, true)
  }

  /** Puts all of `list`, which is the caller's to change. When it throws, a prefix has been put, whose length `progress` tells. */
  async putMany(list: Encoded[], limits: Limits, progress: Progress = { done: 0 }): Promise<void> {
    // Where what is in no buffer yet begins.
    let next = 0
    let detached = false
    const detach = () => {
      if (!detached) for (let i = next; i < list.length; i++) list[i] = detachEncoded(list[i]!)
      detached = true
    }
    let exhausted = false
    const attempt = (): true | undefined => {
      exhausted = false
      const staged = stageMany(list, next)
      if (staged === 0) return true
      const status = native.put(this.#session.handle, this.#queue, staged)
      const put = native.resultCount()
      next += put
      progress.done = next
      this.#sender.sent(put)
      exhausted = status === STATUS_EXHAUSTED
      return status === STATUS_OK || exhausted ? true : this.#sender.mustWait(status)
    }
    if (this.#sender.crowded) detach()
    await this.#sender.inTurn(limits, async () => {
      while (next < list.length) {
        const before = next
        if (attempt() === undefined) {
          detach()
          await this.#sender.wait(limits, attempt, true)
        }
        if (next > before && !exhausted) continue
        const run = exhausted ? NOTHING : this.#storeRun(list, next)
        next += run.length
        if (run.length > 0) {
          await this.#sendRun(run, detach, limits, progress)
        } else {
          detach()
          await this.#putOne(list[next++]!, limits)
          progress.done = next
        }
      }
    })
    await this.#sender.done()
  }

  /** Undefined: it is not for the stage. */
  #tryStaged(encoded: Encoded): native.Status | undefined {
    if (stageAt(0, 0, encoded) === NOT_STAGED) return undefined
    const status = native.put(this.#session.handle, this.#queue, 1)
    if (status === STATUS_OK) this.#sender.sent(1)
    return status
  }

  /** Offers a buffer that only we know of to the queue. When it throws, the buffer is released. */
  #offer(id: number): boolean {
    try {
      native.setId(0, id, 0)
      return this.#sender.offerNamed()
    } catch (error) {
      releaseIds(this.#session, [id])
      throw error
    }
  }

  /** Waits for memory, then for room. The caller has its turn. */
  async #putOne(encoded: Encoded, limits: Limits): Promise<void> {
    const buffer = await storeLater(this.#session, encoded, limits)
    await this.#sender.sendInTurn(buffer, limits)
  }

  /** Sends every one of `ids`, which it releases if they cannot be sent. `detach` is called before it waits. */
  async #sendRun(ids: Uint32Array, detach: () => void, limits: Limits, progress: Progress): Promise<void> {
    const before = progress.done
    let sent = 0
    const attempt = () => {
      for (let i = sent; i < ids.length; i++) native.setId(i - sent, ids[i]!, 0)
      const status = native.send(this.#session.handle, this.#queue, ids.length - sent)
      const accepted = native.resultCount()
      sent += accepted
      progress.done = before + sent
      this.#sender.sent(accepted)
      return status === STATUS_OK ? true : this.#sender.mustWait(status)
    }
    try {
      const done = attempt()
      // Whoever awaits this may go on before it does.
      detach()
      if (done === undefined) await this.#sender.wait(limits, attempt, true)
    } catch (error) {
      releaseIds(this.#session, ids.subarray(sent))
      throw error
    }
  }

  /** Stores items of `list` from `from` on into buffers; fewer when memory is short or a length was guessed. */
  #storeRun(list: readonly Encoded[], from: number): Uint32Array {
    const count = Math.min(list.length - from, BATCH_MAX)
    const ids = new Uint32Array(count)
    let stored = 0
    let allocated = 0
    try {
      while (stored < count) {
        const run = runOf(list, from + stored, from + count)
        allocated += allocateIds(this.#session, run.bytes, ids.subarray(allocated), run.length)
        const wanted = stored + run.length
        while (stored < allocated && store(this.#session, ids[stored]!, list[from + stored]!, run.bytes)) stored++
        if (stored < wanted) break
      }
    } catch (error) {
      releaseIds(this.#session, ids.subarray(0, allocated))
      throw error
    }
    releaseIds(this.#session, ids.subarray(stored, allocated))
    return ids.subarray(0, stored)
  }
}

/** Puts items of `list` from `from` on onto the stage; returns how many. */
function stageMany(list: readonly Encoded[], from: number): number {
  const count = Math.min(list.length - from, BATCH_MAX)
  let end = 0
  for (let i = 0; i < count; i++) {
    end = stageAt(i, end, list[from + i]!)
    if (end === NOT_STAGED) return i
  }
  return count
}
