import { BufferPtr } from './buffer-ptr.js'
import { MillraceError } from '../errors.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_EXHAUSTED, STATUS_OK } from '../native/generated/codes.js'
import { MAX_BUFFER_BYTES } from '../native/generated/limits.js'
import * as native from '../native/native.js'
import type { WaitOptions } from '../options.js'
import { checkInteger, checkWait } from '../options.js'
import { BufferPool } from './buffer-pool.js'
import type { Session } from '../session/session.js'
import { snapshotOf } from '../session/snapshot.js'
import { spaceInPool } from '../session/wait-key.js'

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
   * message says who holds what. `ERR_MILLRACE_TOO_LARGE` when no domain could hold it.
   */
  allocate(bytes: number): BufferPtr {
    checkBytes(bytes)
    return this.#tryAllocate(bytes) ?? this.#exhausted(bytes)
  }

  /**
   * `count` buffers of `bytes`, with few crossings into native code: all of them, or an error and none.
   * @throws {@link MillraceError} as {@link SharedBufferAllocator.allocate}
   */
  allocateMany(bytes: number, count: number): BufferPtr[] {
    checkBytes(bytes)
    checkInteger('count', count, 0, 2 ** 20)
    const ids = new Uint32Array(count)
    const got = allocateIds(this.#session, bytes, ids, count)
    const buffers = Array.from(ids.subarray(0, got), (id) => new BufferPtr(this.#session, id, 0, 0, 0))
    if (got === count) return buffers
    for (const buffer of buffers) buffer.release()
    return this.#exhausted(bytes)
  }

  /**
   * A buffer of `bytes`; waits for one to come back while the pool is exhausted.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT`, `ERR_MILLRACE_TOO_LARGE`
   */
  async allocateAsync(bytes: number, options?: WaitOptions): Promise<BufferPtr> {
    checkBytes(bytes)
    checkWait(options)
    const { waiting } = this.#session
    const target = spaceInPool(bytes)
    const buffer = waiting.has(target) ? undefined : this.#tryAllocate(bytes)
    if (buffer !== undefined) return buffer
    const what = `no buffer of ${bytes} bytes came back`
    return await waiting.wait(target, options, what, () => this.#tryAllocate(bytes))
  }

  /** The size classes that exist now, smallest first. */
  pools(): BufferPool[] {
    return snapshotOf(this.#session).pools.map(({ bufferBytes }) => new BufferPool(this.#session, this, bufferBytes))
  }

  #tryAllocate(bytes: number): BufferPtr | undefined {
    const session = this.#session
    const status = native.allocate(session.handle, 1, bytes)
    if (status === STATUS_OK) return new BufferPtr(session, native.idAt(0), 0, 0, 0)
    if (status === STATUS_EXHAUSTED) return undefined
    throw session.allocationFailure(status, bytes)
  }

  #exhausted(bytes: number): never {
    throw this.#session.allocationFailure(STATUS_EXHAUSTED, bytes)
  }
}

/** @internal Allocates up to `count` buffers of `bytes` into `ids`. Answers how many there were; fewer: the pool is exhausted. */
export function allocateIds(session: Session, bytes: number, ids: Uint32Array, count: number): number {
  let got = 0
  while (got < count) {
    const status = native.allocate(session.handle, Math.min(count - got, BATCH_MAX), bytes)
    if (status === STATUS_EXHAUSTED) break
    if (status !== STATUS_OK) throw session.allocationFailure(status, bytes)
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
