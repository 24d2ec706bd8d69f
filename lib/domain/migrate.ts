import type { OptionNames } from '../check.js'
import { checkBoolean, checkOptions, checkSignal } from '../check.js'
import { invalidArgument } from '../errors.js'
import type { BufferPtr, TimestampKind } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { ShmManager } from './manager.js'

/** What {@link migrate} needs of a message; a `BufferPtr` of any version of this package has it. */
export interface MigratedMessage {
  /** As `BufferPtr.bytes`. */
  readonly bytes: Uint8Array
  /** As `BufferPtr.timestamp`. */
  readonly timestamp: bigint
  /** As `BufferPtr.timestampKind`. */
  readonly timestampKind: TimestampKind
  /** As `BufferPtr.sequence`. */
  readonly sequence: bigint
  /** As `BufferPtr.tag`. */
  readonly tag: bigint
  /** As `BufferPtr.source`. */
  readonly source: number
  /** As `BufferPtr.typeId`. */
  readonly typeId: number
  /** It is elsewhere now. */
  release(): void
}

/** Messages taken together. */
export interface MigratedBatch extends Iterable<MigratedMessage> {
  /** Gives back those that have not been released. */
  nack(): void
}

/** What {@link migrate} takes messages from; a `PortQueue` of any version of this package is one. */
export interface MigrationSource {
  /** Its name in the domain. */
  readonly name: string
  /** Messages in turn, until it is closed. */
  batches(options: { timeout?: number; signal?: AbortSignal }): AsyncIterable<MigratedBatch>
}

/** Options of {@link migrate}. */
export interface MigrateOptions {
  /** Whether to wait for more when the queue is empty, until it is closed. Default: false. */
  follow?: boolean
  /** Ends it, after the messages that have been taken have been sent. */
  signal?: AbortSignal
}

const MIGRATE_OPTIONS: OptionNames<MigrateOptions> = { follow: true, signal: true }

/**
 * Moves messages from a queue of one domain to a queue of another, which another version of this package may have made: bytes and
 * metadata are copied. They come from the queue in order and keep it. A message is let go of at the old queue when it is in the new one;
 * so if this process dies, none of an at-least-once queue is lost, and one may be in both.
 * @param from a `PortQueue` of any version of this package, in this process
 * @param shm the manager of `to`
 * @param to the queue that they are sent to, which exists; waits while it is full
 * @returns how many were moved
 * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT`; what the queues throw, but that `from` is closed or destroyed
 */
export async function migrate(
  from: MigrationSource,
  shm: ShmManager,
  to: PortQueue<unknown>,
  options: MigrateOptions = {},
): Promise<number> {
  if (typeof (from as Partial<MigrationSource> | null)?.batches !== 'function') {
    throw invalidArgument('the queue to migrate from', 'a PortQueue', from)
  }
  const { follow = false, signal } = checkOptions('migrate', options, MIGRATE_OPTIONS)
  checkBoolean('follow', follow)
  checkSignal(signal)
  const limits = { ...(!follow && { timeout: 0 }), ...(signal !== undefined && { signal }) }
  const batches = from.batches(limits)[Symbol.asyncIterator]()
  let moved = 0
  for (;;) {
    const batch = await nextOf(batches, signal)
    if (batch === undefined) return moved
    try {
      for (const message of batch) {
        await sendCopy(message, shm, to)
        message.release()
        moved++
      }
    } catch (error) {
      batch.nack()
      throw error
    }
  }
}

/** The next batch; undefined: there is no more. Errors may be those of another version, which is another class. */
async function nextOf(
  batches: AsyncIterator<MigratedBatch>,
  signal: AbortSignal | undefined,
): Promise<MigratedBatch | undefined> {
  try {
    const { value, done } = await batches.next()
    return done === true ? undefined : value
  } catch (error) {
    const { code } = (error ?? {}) as { readonly code?: unknown }
    if (code === 'ERR_MILLRACE_TIMEOUT' || code === 'ERR_MILLRACE_DESTROYED') return undefined
    if (signal?.aborted === true && error === signal.reason) return undefined
    throw error
  }
}

async function sendCopy(message: MigratedMessage, shm: ShmManager, to: PortQueue<unknown>): Promise<void> {
  const copy = await copyOf(message, shm)
  try {
    await to.send(copy)
  } finally {
    discard(copy)
  }
}

async function copyOf(message: MigratedMessage, shm: ShmManager): Promise<BufferPtr> {
  const { bytes } = message
  const copy = await shm.allocateAsync(bytes.length)
  copy.bytes.set(bytes)
  copy.timestamp = message.timestamp
  copy.timestampKind = message.timestampKind
  copy.sequence = message.sequence
  copy.tag = message.tag
  copy.source = message.source
  copy.typeId = message.typeId
  return copy
}
