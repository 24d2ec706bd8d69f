import type { OptionNames } from '../check.js'
import { checkBoolean, checkInteger, checkOptions, checkWord } from '../check.js'
import { misuse } from '../errors.js'
import type { CodecOption } from '../codec/codec.js'
import { MAX_QUEUE_CAPACITY } from '../native/generated/limits.js'
import type { BindingQueueOptions } from '../native/native.js'
import type { Delivery, Overflow } from '../native/words.js'
import { DELIVERIES, OVERFLOWS } from '../native/words.js'

/** The fewest and the most messages that a queue comes to hold whose capacity follows its load. */
export interface CapacityRange {
  /** What it begins with, and comes back to when it has been quiet, rounded up to a power of two; 1 … `max`. */
  min: number
  /** What it grows to while it is full, rounded up to a power of two; `min` … 1 048 576. */
  max: number
}

/**
 * Options of {@link ShmManager.portQueue}. Those left out take what an existing queue has, or the default, until somebody names them: a queue
 * that is there changes to what is asked for first.
 */
export interface QueueOptions<T> {
  /**
   * Messages the queue holds, rounded up to a power of two; 1 … 1 048 576. With `min` and `max` it doubles while the queue is full, and is
   * halved each time that the queue has been three quarters empty for ten seconds, looked at every ten; only with overflow `block` or `reject`, and without a `limit`.
   * Default: 1024.
   */
  capacity?: number | CapacityRange
  /**
   * Messages that a send may leave in the queue, 1 … `capacity`: exactly, with any number of senders. Those that were given back count,
   * too. 0 is as many as there is room for. Default: 0.
   */
  limit?: number
  /** What a send does when the queue is full. Default: `block`. */
  overflow?: Overflow
  /**
   * What happens to messages whose consumer dies. An at-least-once queue lets no more than `capacity` messages out at once
   * that are not acknowledged. Default: `at-most-once`.
   */
  delivery?: Delivery
  /**
   * Needs `delivery: 'at-least-once'` beside it: how often one message is delivered at most; it then goes to queue
   * `<name>.dead` as it is. 0 is no limit. Default: 0.
   */
  maxDeliveries?: number
  /** 1 admits a single producing participant: any other that sends gets `ERR_MILLRACE_ROLE`. Default: `many`. */
  producers?: 1 | 'many'
  /** 1 admits a single consuming participant: any other that receives gets `ERR_MILLRACE_ROLE`. Default: `many`. */
  consumers?: 1 | 'many'
  /**
   * Whether the queue closes when the last of those who have sent to it has gone: by closing its manager, by its end, or by death. Receivers
   * get what is in it, then its end. Before the first has sent it stays open. Default: false.
   */
  closeWithProducers?: boolean
  /** A number of yours that says what the queue carries, 32 bits; 0 is none. Default: 0. */
  typeId?: number
  /** How `put` and `get` turn values into bytes. Default: what the queue has, else `bytes`. */
  codec?: CodecOption<T>
}

/** @internal */
export const QUEUE_OPTIONS: OptionNames<QueueOptions<never>> = {
  capacity: true,
  limit: true,
  overflow: true,
  delivery: true,
  maxDeliveries: true,
  producers: true,
  consumers: true,
  closeWithProducers: true,
  typeId: true,
  codec: true,
}

/** @internal Options of {@link ShmManager.portQueue} as the addon takes them; those left out stay out. */
export function bindQueueOptions<T>(options: QueueOptions<T>, codec: string | undefined): BindingQueueOptions {
  const { limit, overflow, delivery, maxDeliveries, producers, consumers, closeWithProducers, typeId } = options
  return {
    ...(options.capacity !== undefined && bindCapacity(options.capacity)),
    ...(limit !== undefined && { limit: checkInteger('limit', limit, 0, MAX_QUEUE_CAPACITY) }),
    ...(overflow !== undefined && { overflow: checkWord('overflow', overflow, OVERFLOWS) }),
    ...(delivery !== undefined && { delivery: checkWord('delivery', delivery, DELIVERIES) }),
    ...(maxDeliveries !== undefined && { maxDeliveries: checkInteger('maxDeliveries', maxDeliveries, 0, 2 ** 32 - 1) }),
    ...(producers !== undefined && { producers: checkWord('producers', producers, ['many', 1]) }),
    ...(consumers !== undefined && { consumers: checkWord('consumers', consumers, ['many', 1]) }),
    ...(closeWithProducers !== undefined && {
      closeWithProducers: checkBoolean('closeWithProducers', closeWithProducers),
    }),
    ...(typeId !== undefined && { typeId: checkInteger('typeId', typeId, 0, 2 ** 32 - 1) }),
    ...(codec !== undefined && { codec }),
  }
}

const CAPACITY_RANGE: OptionNames<CapacityRange> = { min: true, max: true }

function bindCapacity(capacity: number | CapacityRange): Pick<BindingQueueOptions, 'capacity' | 'maxCapacity'> {
  if (typeof capacity !== 'object') return { capacity: checkInteger('capacity', capacity, 1, MAX_QUEUE_CAPACITY) }
  const { min, max } = checkOptions('capacity', capacity, CAPACITY_RANGE)
  checkInteger('capacity.max', max, 1, MAX_QUEUE_CAPACITY)
  checkInteger('capacity.min', min, 1, MAX_QUEUE_CAPACITY)
  if (min > max) throw misuse(`capacity.min is ${min}, more than capacity.max, which is ${max}`)
  return { capacity: min, maxCapacity: max }
}
