import { invalidArgument } from '../errors.js'
import type { SharedBufferAllocator } from '../memory/allocator.js'
import { MAX_BUFFER_BYTES } from '../native/generated/limits.js'
import type { OptionNames } from '../check.js'
import { checkInteger, checkSignal } from '../check.js'

/** Whose buffers are read into: a {@link ShmManager}. */
export interface BufferOwner {
  /** Where the buffers come from. */
  readonly allocator: SharedBufferAllocator
}

/** Options of everything that reads into pool buffers. */
export interface IngestOptions {
  /** Size of the buffers. Default: 64 KiB. */
  bytes?: number
  /** Buffers that may be filled before they are asked for; then the source is paused. Default: 4. */
  prefetch?: number
  /** Ends the iteration at once with the signal's reason. What was filled and not asked for is dropped. */
  signal?: AbortSignal
}

/** {@link IngestOptions} that have been checked. */
export interface IngestSettings {
  readonly bytes: number
  readonly prefetch: number
  readonly signal: AbortSignal | undefined
}

/** The allocator of `shm`. @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT` if that is no manager */
export function allocatorOf(shm: BufferOwner): SharedBufferAllocator {
  const allocator = (shm as Partial<BufferOwner> | null | undefined)?.allocator
  // A manager of another copy of this package will do.
  if (typeof allocator?.tryAllocate === 'function') return allocator
  throw invalidArgument('shm', 'a ShmManager', shm)
}

/** @internal */
export const INGEST_OPTIONS: OptionNames<IngestOptions> = { bytes: true, prefetch: true, signal: true }

/** @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT`; the reason of a signal that has aborted already */
export function checkIngest({ bytes = 64 * 1024, prefetch = 4, signal }: IngestOptions): IngestSettings {
  checkInteger('bytes', bytes, 1, MAX_BUFFER_BYTES)
  checkInteger('prefetch', prefetch, 1, 1024)
  checkSignal(signal)?.throwIfAborted()
  return { bytes, prefetch, signal }
}
