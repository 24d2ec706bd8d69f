import type { OptionNames } from '../check.js'
import { checkInteger, checkName } from '../check.js'
import { hasCode, MillraceError } from '../errors.js'
import type { CodecOption } from '../codec/codec.js'
import { MAX_QUEUE_CAPACITY, MAX_SUBSCRIPTION_NAME_BYTES } from '../native/generated/limits.js'
import type { BindingTopicOptions } from '../native/native.js'
import type { Delivery, Overflow } from '../native/words.js'

/**
 * Options of {@link ShmManager.topic}. Those left out take what an existing topic has, or the default. They are of whoever makes the topic, for
 * as long as it exists.
 */
export interface TopicOptions<T> {
  /** Messages kept for those who subscribe later, rounded up to a power of two; 0 … 1 048 576. Default: 0. */
  history?: number
  /** A number of yours that says what the topic carries, 32 bits; 0 is none. Default: 0. */
  typeId?: number
  /** How `put` and `get` turn values into bytes. Default: what the topic has, else `bytes`. */
  codec?: CodecOption<T>
}

/** @internal */
export const TOPIC_OPTIONS: OptionNames<TopicOptions<never>> = { history: true, typeId: true, codec: true }

/** Options of {@link Topic.subscribe}. Those left out take what an existing subscription of that name has, or the default. */
export interface SubscribeOptions {
  /**
   * A subscription with a name (of up to 31 characters) stays when its subscriber closes it or dies, and goes on collecting;
   * whoever subscribes by that name goes on with it, and several that do share its messages. Default: none, it ends with its
   * subscriber.
   */
  name?: string
  /** Messages its queue holds, rounded up to a power of two; 1 … 1 048 576. Default: 1024. */
  capacity?: number
  /**
   * What happens to a message when the queue is full: with `block` publishers wait for this subscriber, and for no other;
   * `reject` is `drop-newest`. Default: `block`.
   */
  overflow?: Overflow
  /** What happens to messages whose subscriber dies; at-least-once makes sense with a `name`. Default: `at-most-once`. */
  delivery?: Delivery
  /**
   * Needs `delivery: 'at-least-once'` and a `name` beside it: how often one message is delivered at most; it then goes to
   * queue `<topic>.<name>.dead` as it is. 0 is no limit. Default: 0.
   */
  maxDeliveries?: number
}

/** @internal */
export const SUBSCRIBE_OPTIONS: OptionNames<SubscribeOptions> = {
  name: true,
  capacity: true,
  overflow: true,
  delivery: true,
  maxDeliveries: true,
}

/** @internal Options of {@link ShmManager.topic} as the addon takes them; those left out stay out. */
export function bindTopicOptions(
  options: Omit<TopicOptions<never>, 'codec'>,
  codec: string | undefined,
): BindingTopicOptions {
  const { history, typeId } = options
  return {
    ...(history !== undefined && { history: checkInteger('history', history, 0, MAX_QUEUE_CAPACITY) }),
    ...(typeId !== undefined && { typeId: checkInteger('typeId', typeId, 0, 2 ** 32 - 1) }),
    ...(codec !== undefined && { codec }),
  }
}

/** @internal Makes a topic, or attaches to it. An error that it has other options says that it keeps them. */
export function withOptionsOfMaker<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!hasCode(error, 'ERR_MILLRACE_OPTIONS_MISMATCH')) throw error
    const message = `${error.message}; a topic keeps the options of whoever made it: name the same on every side, or none here`
    throw new MillraceError(error.code, message)
  }
}

/** @internal The name that a subscription is to have, if any. */
export function checkSubscriptionName(name: string | undefined): string | undefined {
  return name === undefined ? undefined : checkName('subscription', name, MAX_SUBSCRIPTION_NAME_BYTES)
}
