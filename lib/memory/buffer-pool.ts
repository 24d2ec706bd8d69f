import type { SharedBufferAllocator } from './allocator.js'
import type { BufferPtr } from './buffer-ptr.js'
import type { Session } from '../session/session.js'
import type { PoolStats } from '../session/snapshot.js'
import { snapshotOf } from '../session/snapshot.js'

/** A size class: all buffers of one size, in as many segments as were needed so far. */
export class BufferPool {
  /** Capacity of its buffers in bytes. */
  readonly bufferBytes: number
  readonly #session: Session
  readonly #allocator: SharedBufferAllocator

  /** @internal */
  constructor(session: Session, allocator: SharedBufferAllocator, bufferBytes: number) {
    this.bufferBytes = bufferBytes
    this.#session = session
    this.#allocator = allocator
  }

  /** A buffer whose length is its whole capacity. Errors as {@link SharedBufferAllocator.allocate}. */
  allocate(): BufferPtr {
    return this.#allocator.allocate(this.bufferBytes)
  }

  /** `count` buffers. Errors as {@link SharedBufferAllocator.allocateMany}. */
  allocateMany(count: number): BufferPtr[] {
    return this.#allocator.allocateMany(this.bufferBytes, count)
  }

  /** Buffers, how many are in use, and the most that were: of all participants together. */
  stats(): PoolStats {
    const pools = snapshotOf(this.#session).pools
    return pools.find(({ bufferBytes }) => bufferBytes === this.bufferBytes)!
  }
}
