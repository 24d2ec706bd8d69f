import type { Codec, Encoded, NamedCodec, ValueCodecName } from '../codec/codec.js'
import { codecOf, codecRecorded } from '../codec/codec.js'
import { MillraceError, show } from '../errors.js'
import { MAX_NAME_BYTES } from '../native/generated/limits.js'
import type { ShmManager } from '../domain/manager.js'
import { checkName } from '../options.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { SageDomainOptions } from './namespace.js'
import type { Acknowledge } from './unacknowledged.js'

/** Options of {@link SageQueue}. */
export interface SageQueueOptions<T> extends SageDomainOptions {
  /** Values the queue holds, 1 … 1 048 576. Default: what the queue has, else 1024. */
  maxsize?: number
  /** How values become bytes. Default: what the queue has, else `v8`, which carries all that structured clone does. */
  codec?: ValueCodecName | Codec<T>
  /** When a value that was got counts as finished; see {@link Acknowledge}. A matter of this end alone. Default: `auto`. */
  acknowledge?: Acknowledge
  /**
   * How often one value is got at most: when its workers died, or gave it back, so often, this end moves it to the queue
   * `<name>.dead`. Default: no limit.
   */
  maxDeliveries?: number
}

/** Marks a queue as a SageQueue; its maxsize is in the lower bits. */
const SAGE_TYPE = 0x53 << 24
const MAXSIZE_MASK = 2 ** 24 - 1
const MAXSIZE_DEFAULT = 1024
/** Every value in work takes a place among the leases, of which the ring has as many as slots. */
const IN_WORK_MIN = 1024

/** The maxsize of the SageQueue that has this type id; undefined for any other queue. */
export function maxsizeOf(typeId: number): number | undefined {
  return typeId >>> 24 === SAGE_TYPE >>> 24 ? typeId & MAXSIZE_MASK : undefined
}

/** The bells of queue `name`: for room in it, for all work being done, for its having been shut down. */
export function bellsOf(name: string): { room: string; done: string; over: string } {
  return { room: `${name}.room`, done: `${name}.done`, over: `${name}.over` }
}

/** Opens queue `name`, or creates it. Who opens it without maxsize or codec takes what it has. */
export function openQueue<T>(
  shm: ShmManager,
  name: string,
  maxsize: number | undefined,
  codec: NamedCodec<T> | undefined,
): { queue: PortQueue<Encoded>; maxsize: number; codec: NamedCodec<T> } {
  for (;;) {
    const info = shm.portQueue(name).info
    const size = info === null ? (maxsize ?? MAXSIZE_DEFAULT) : sizeThatFits(name, info.typeId, maxsize)
    const named = codec ?? (info === null ? codecOf<T>('v8') : codecRecorded<T>(info.codec, name))
    // Values come encoded: what cannot be is refused at the call, not when there is room.
    const passing: Codec<Encoded> = { name: named.name, encode: (encoded) => encoded, decode: (bytes) => bytes }
    const options = { capacity: Math.max(size, IN_WORK_MIN), delivery: 'at-least-once', codec: passing } as const
    try {
      return { queue: shm.portQueue(name, { ...options, typeId: SAGE_TYPE | size }), maxsize: size, codec: named }
    } catch (error) {
      // Somebody may have made it since we looked, with options that fit ours or do not: look again.
      const mismatch = error instanceof MillraceError && error.code === 'ERR_MILLRACE_OPTIONS_MISMATCH'
      if (!mismatch || info !== null) throw error
    }
  }
}

/** The maxsize of a queue that exists, if it is what was asked for. */
function sizeThatFits(name: string, typeId: number, asked: number | undefined): number {
  const size = maxsizeOf(typeId)
  if (size !== undefined && (asked === undefined || asked === size)) return size
  const is = size === undefined ? 'as another kind of queue' : `with maxsize ${size}`
  const wanted = size === undefined ? 'a SageQueue' : asked
  throw new MillraceError('ERR_MILLRACE_OPTIONS_MISMATCH', `queue ${show(name)} exists ${is}, ${wanted} was asked for`)
}

/** Its bells and dead letters have its name and five bytes more. @throws unless there is room for them */
export function checkQueueName(name: unknown): void {
  if (checkName('queue', name).length + 5 <= MAX_NAME_BYTES) return
  throw new MillraceError(
    'ERR_MILLRACE_INVALID_NAME',
    `a SageQueue's name must have at most ${MAX_NAME_BYTES - 5} bytes, not ${show(name)}`,
  )
}
