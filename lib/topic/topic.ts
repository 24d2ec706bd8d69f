import { inspect, type InspectOptions } from 'node:util'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { ValueSink } from '../memory/encode-ahead.js'
import { putValues } from '../memory/encode-ahead.js'
import type { NamedCodec } from '../codec/codec.js'
import { codecRecorded } from '../codec/codec.js'
import { isBytes } from '../codec/views.js'
import type { WaitOptions } from '../session/limits.js'
import type { SubscribeOptions, TopicOptions } from './options.js'
import { checkOptions } from '../check.js'
import { bindQueueOptions } from '../queue/options.js'
import { checkSubscriptionName, SUBSCRIBE_OPTIONS } from './options.js'
import type { BlockedReport, BlockedSubscriber } from './blocked.js'
import type { Published } from './publisher.js'
import { Publisher } from './publisher.js'
import type { Session } from '../session/session.js'
import { SubscriberQueue, type Subscription } from './subscription.js'
import { limitsOf } from '../session/limits.js'
import { shown } from '../session/shown.js'

export type { BlockedReport, BlockedSubscriber, Published }

/** What a topic is now. */
export interface TopicInfo extends Required<Omit<TopicOptions<never>, 'codec'>> {
  /** Its name in the domain. */
  name: string
  /** Name of its codec. */
  codec: string
  /** Whether it was closed: nothing is published any more. */
  closed: boolean
}

/**
 * One to many: what is published goes to every subscriber, through a queue of its own with a policy of its own. It is one buffer
 * with a reference for each, however many there are. Who is slow, full or dead holds up nobody else.
 *
 * Every participant may hold the topic before anybody has created it, and subscribe to it. Who publishes to one that nobody has named options
 * for, and that somebody subscribes to, makes it; while there is neither, waiting calls wait for that, and `try…` calls return null. All calls throw `ERR_MILLRACE_DESTROYED` once it was destroyed, and `ERR_MILLRACE_CLOSED` once the
 * manager was closed.
 */
export class Topic<T = Uint8Array> {
  /** Its name in the domain. */
  readonly name: string
  readonly #session: Session
  readonly #handle: number
  readonly #publisher: Publisher
  #codec: NamedCodec<T> | undefined

  /** @internal `onBlocked` is told of subscribers that block for long. */
  constructor(
    session: Session,
    name: string,
    handle: number,
    codec: NamedCodec<T> | undefined,
    onBlocked: (report: BlockedReport) => void,
  ) {
    this.name = name
    this.#session = session
    this.#handle = handle
    this.#publisher = new Publisher(session, handle, name, (subscriber) => onBlocked({ topic: name, ...subscriber }))
    this.#codec = codec
  }

  /** Its options and state; null while it does not exist. */
  get info(): TopicInfo | null {
    return this.#session.call((open) => open.topicInfo(this.#handle))
  }

  /**
   * Publishes `buffer` without waiting: it is not yours any more. Subscribers that let publishers wait and have no room miss it,
   * which the result says, and their next message (`gap`). Null: the topic is closed or does not exist yet, and the buffer is
   * still yours.
   */
  tryPublish(buffer: BufferPtr): Published | null {
    return this.#publisher.tryPublish(buffer)
  }

  /**
   * Publishes `buffer`: everybody who has room gets it now. Then waits for those who let publishers wait and have none. Messages
   * of one participant reach each subscriber in their order.
   * @throws {@link MillraceError} `ERR_MILLRACE_CLOSED`; `ERR_MILLRACE_TIMEOUT`, whose message says who had no room (as
   * {@link BlockedSubscriber}s: `cause`): they miss it, everybody else has it. The buffer is still yours then.
   */
  publish(buffer: BufferPtr, options?: WaitOptions): Promise<Published> {
    try {
      return this.#publisher.publish(buffer, limitsOf(options))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Publishes `buffers` in order, 256 at a crossing. When it throws, as {@link Topic.publish} does, a prefix has been published. */
  publishMany(buffers: readonly BufferPtr[], options?: WaitOptions): Promise<Published> {
    return this.#publisher.publishMany(buffers, options)
  }

  /** Copies `value` in and publishes it, as {@link Topic.tryPublish} does. Null also if the domain waits when it is exhausted, and is. */
  tryPut(value: T): Published | null {
    const codec = this.#codecToPut([value])
    return codec === undefined ? null : this.#publisher.tryPut(codec.encode(value))
  }

  /**
   * Copies `value` in and publishes it, as {@link Topic.publish} does.
   * @throws {@link MillraceError} also `ERR_MILLRACE_EXHAUSTED`, `ERR_MILLRACE_TOO_LARGE`
   */
  async put(value: T, options?: WaitOptions): Promise<Published> {
    return await this.putMany([value], options)
  }

  /** Copies `values` in and publishes them, in order. When it throws, as {@link Topic.put} does, a prefix has been published. */
  putMany(values: readonly T[], options?: WaitOptions): Promise<Published> {
    const publisher = this.#publisher
    const sink: ValueSink<Published> = {
      exists: (limits, attempt) => publisher[areBytes(values) ? 'exists' : 'named'](limits, attempt),
      putMany: (list, limits) => publisher.putMany(list, limits),
    }
    return putValues(sink, values, options, () => this.#codecToPut(values))
  }

  /**
   * Subscribes, whether the topic exists yet or not. From now on messages are collected, whether they are received or not:
   * close it, with `using` or {@link Subscription.close}, when it is not needed any more.
   * @throws {@link MillraceError} `ERR_MILLRACE_OPTIONS_MISMATCH` when a subscription of that name has other options;
   * `_INVALID_NAME`, `_INVALID_ARGUMENT`; `_EXHAUSTED`, `_NO_SPACE`, `_LIMIT` as {@link ShmManager.portQueue}
   */
  subscribe(options: SubscribeOptions = {}): Subscription<T> {
    checkOptions(`a subscription to topic "${this.name}"`, options, SUBSCRIBE_OPTIONS)
    const name = checkSubscriptionName(options.name)
    const bound = bindQueueOptions(options, undefined)
    const handle = this.#session.call((open) => open.subscribe(this.name, name, bound))
    return new SubscriberQueue(this.#session, this.name, name, handle, this.#codec)
  }

  /** Removes the subscription of that name, whoever made it. False: there is none. */
  unsubscribe(name: string): boolean {
    checkSubscriptionName(name)
    return this.#session.call((open) => open.unsubscribe(this.name, name))
  }

  /** No more: publishing fails for everybody, subscribers drain what they have and end. Idempotent. */
  close(): void {
    this.#session.call((open) => open.closeTopic(this.#handle))
  }

  /** Removes the topic and all its subscriptions for everybody; every wait ends with `ERR_MILLRACE_DESTROYED`. Idempotent. */
  destroy(): void {
    this.#session.call((open) => open.destroyTopic(this.#handle))
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return shown('Topic', this.name, () => this.info, options)
  }

  /** The codec to put `values` by. Bytes need none: for those who subscribe, the topic is made; for anything else somebody has to name one. */
  #codecToPut(values: readonly T[]): NamedCodec<T> | undefined {
    const codec = this.#findCodec()
    return codec === undefined && areBytes(values) && this.#publisher.make() ? this.#findCodec() : codec
  }

  /** The codec, once the topic exists or the caller named one. */
  #findCodec(): NamedCodec<T> | undefined {
    const info = this.#codec === undefined ? this.info : null
    if (info !== null) this.#codec = codecRecorded(info.codec, `topic "${this.name}"`)
    return this.#codec
  }
}

function areBytes(values: readonly unknown[]): boolean {
  return Array.isArray(values) && values.every(isBytes)
}
