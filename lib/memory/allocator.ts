import { MillraceError } from '../errors.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_EXHAUSTED, STATUS_OK } from '../native/generated/codes.js'
import { MAX_BUFFER_BYTES } from '../native/generated/limits.js'
import * as native from '../native/native.js'
import type { Limits, WaitOptions } from '../session/limits.js'
import { checkInteger } from '../check.js'
import { limitsOf } from '../session/limits.js'
import type { Session } from '../session/session.js'
import { snapshotOf } from '../session/snapshot.js'
import { spaceInPool } from '../session/wait-key.js'
import { BufferPool } from './buffer-pool.js'
import { BufferPtr, NO_ID } from './buffer-ptr.js'
import { releaseIds } from './release.js'

/** As many as a domain can have. */
const MAX_BUFFERS = 2 ** 20

/** Picks the pool for a size and takes buffers from it. New buffers are not zeroed; their metadata is. */
export class SharedBufferAllocator {
  readonly #session: Session

  /** @internal */
  constructor(session: Session) {
    this.#session = session
  }

  /**
   * A buffer of `bytes`, to be released or sent.
   * @throws {@link MillraceError} `ERR_MILLRACE_EXHAUSTED` when the pool has grown to its limit and nothing is free; the
   * message says who holds what. `ERR_MILLRACE_NO_SPACE` when the machine's shared memory is full, `ERR_MILLRACE_TOO_LARGE` when no
   * domain could hold it.
   */
  allocate(bytes: number): BufferPtr {
    const buffer = this.tryAllocate(bytes)
    if (buffer === null) throw this.#session.exhaustedFailure(bytes)
    return buffer
  }

  /**
   * A buffer of `bytes`, or null when there is none now: cheaper than to catch what {@link SharedBufferAllocator.allocate} throws.
   * @throws {@link MillraceError} `ERR_MILLRACE_TOO_LARGE`
   */
  tryAllocate(bytes: number): BufferPtr | null {
    return tryAllocate(this.#session, bytes) ?? null
  }

  /**
   * `count` buffers of `bytes`, with few crossings into native code: all of them, or an error, which says how many there were, and none.
   * @throws {@link MillraceError} as {@link SharedBufferAllocator.allocate}
   */
  allocateMany(bytes: number, count: number): BufferPtr[] {
    checkBytes(bytes)
    checkCount(count)
    const ids = new Uint32Array(count)
    const got = allocateIds(this.#session, bytes, ids, count)
    if (got === count) return Array.from(ids, (id) => new BufferPtr(this.#session, id))
    releaseIds(this.#session, ids.subarray(0, got))
    throw this.#session.exhaustedFailure(bytes, `; ${count} were asked for, of which there were ${got}`)
  }

  /**
   * A buffer of `bytes`; waits for one to come back while there is none.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`, `ERR_MILLRACE_TOO_LARGE`
   */
  async allocateAsync(bytes: number, options?: WaitOptions): Promise<BufferPtr> {
    checkBytes(bytes)
    return await this.allocateWithin(bytes, limitsOf(options))
  }

  /**
   * `count` buffers of `bytes`, all of them or an error; waits until there are that many. Meanwhile it keeps none: two that each had a part
   * would wait for each other. Calls of one manager that wait for buffers of the same size are served in their order; between participants
   * there is no order, so those who want many may wait long where others take one by one.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`; `ERR_MILLRACE_TOO_LARGE`, also when `maxBytes` never allows so many
   */
  async allocateManyAsync(bytes: number, count: number, options?: WaitOptions): Promise<BufferPtr[]> {
    checkBytes(bytes)
    checkCount(count)
    const session = this.#session
    const what = `there were no ${count} buffers of ${bytes} bytes at once`
    return await session.waits.wait(spaceInPool(bytes), limitsOf(options), what, () => {
      const ids = session.call((open) => open.allocateAll(bytes, count))
      return ids?.map((id) => new BufferPtr(session, id))
    })
  }

  /** @internal As {@link SharedBufferAllocator.allocateAsync}. */
  allocateWithin(bytes: number, limits: Limits): Promise<BufferPtr> {
    return allocateWithin(this.#session, bytes, limits)
  }

  /** @internal Calls `callback` with the error of a closed manager when this one closes, or at once. Returns how to end that. */
  onClose(callback: (error: MillraceError) => void): () => void {
    return this.#session.onClose(callback)
  }

  /** The size classes that exist now, smallest first. */
  pools(): BufferPool[] {
    return snapshotOf(this.#session).pools.map(({ bufferBytes }) => new BufferPool(this.#session, this, bufferBytes))
  }
}

/** @internal Id of a new buffer of `bytes`, which only the caller knows of; {@link NO_ID}: the pool is exhausted. */
export function allocateId(session: Session, bytes: number): number {
  checkBytes(bytes)
  const status = native.allocate(session.handle, 1, bytes)
  if (status === STATUS_OK) return native.idAt(0)
  if (status === STATUS_EXHAUSTED) return NO_ID
  throw session.allocationFailure(status, bytes)
}

/** @internal A buffer of `bytes`; undefined: the pool is exhausted. */
export function tryAllocate(session: Session, bytes: number): BufferPtr | undefined {
  const id = allocateId(session, bytes)
  return id === NO_ID ? undefined : new BufferPtr(session, id)
}

/** @internal A buffer of `bytes`; waits for one to come back while there is none. */
export function allocateWithin(session: Session, bytes: number, limits: Limits): Promise<BufferPtr> {
  const what = `no buffer of ${bytes} bytes came back`
  return session.waits.wait(spaceInPool(bytes), limits, what, () => tryAllocate(session, bytes))
}

/**
 * @internal Allocates up to `count` buffers of `bytes` into `ids`. Returns how many there were; fewer: the pool is exhausted. When it
 * throws, none is kept.
 */
export function allocateIds(session: Session, bytes: number, ids: Uint32Array, count: number): number {
  let got = 0
  while (got < count) {
    const status = native.allocate(session.handle, Math.min(count - got, BATCH_MAX), bytes)
    if (status === STATUS_EXHAUSTED) break
    if (status !== STATUS_OK) {
      const failure = session.allocationFailure(status, bytes)
      releaseIds(session, ids.subarray(0, got))
      throw failure
    }
    const end = got + native.resultCount()
    for (let i = 0; got < end; i++) ids[got++] = native.idAt(i)
  }
  return got
}

/** @throws unless `bytes` may be asked of the pool. */
export function checkBytes(bytes: unknown): void {
  if (typeof bytes === 'number' && Number.isInteger(bytes) && bytes > MAX_BUFFER_BYTES) {
    const message = `a buffer of ${bytes} bytes is more than a domain can hold (${MAX_BUFFER_BYTES})`
    throw new MillraceError('ERR_MILLRACE_TOO_LARGE', message)
  }
  checkInteger('bytes', bytes, 0, MAX_BUFFER_BYTES)
}

function checkCount(count: unknown): void {
  checkInteger('count', count, 0, MAX_BUFFERS)
}
