import type { BufferPtr } from './buffer-ptr.js'
import type { Session } from '../session/session.js'
import type { PoolStats } from '../session/snapshot.js'
import { snapshotOf } from '../session/snapshot.js'

/** Where a pool's buffers come from. */
export interface BufferSource {
  allocate(bytes: number): BufferPtr
  allocateMany(bytes: number, count: number): BufferPtr[]
}

/** A size class: all buffers of one size, in as many segments as were needed so far. */
export class BufferPool {
  /** Capacity of its buffers in bytes. */
  readonly bufferBytes: number
  readonly #session: Session
  readonly #source: BufferSource

  /** @internal */
  constructor(session: Session, source: BufferSource, bufferBytes: number) {
    this.bufferBytes = bufferBytes
    this.#session = session
    this.#source = source
  }

  /** A buffer whose length is its whole capacity. Errors as {@link SharedBufferAllocator.allocate}. */
  allocate(): BufferPtr {
    return this.#source.allocate(this.bufferBytes)
  }

  /** `count` buffers. Errors as {@link SharedBufferAllocator.allocateMany}. */
  allocateMany(count: number): BufferPtr[] {
    return this.#source.allocateMany(this.bufferBytes, count)
  }

  /** Buffers, how many are in use, and the most that were: of all participants together. */
  stats(): PoolStats {
    const pools = snapshotOf(this.#session).pools
    return pools.find(({ bufferBytes }) => bufferBytes === this.bufferBytes)!
  }
}
