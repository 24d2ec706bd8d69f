import type { NamedCodec } from '../codec/codec.js'
import type { ReadableOptions, WebStreams } from '../queue/streams.js'
import { PortQueue } from '../queue/port-queue.js'
import type { Session } from '../session/session.js'

/** What one does with a queue that others send to. */
type Receiving =
  | 'info'
  | 'depth'
  | 'stats'
  | 'tryReceive'
  | 'receive'
  | 'receiveSync'
  | 'receiveMany'
  | 'peek'
  | 'tryGet'
  | 'get'
  | 'getMany'
  | 'consume'
  | 'batches'
  | 'readable'
  | 'values'
  | typeof Symbol.asyncIterator

/**
 * A subscription to a topic: the receiving side of a queue of its own. It brings the messages that the topic keeps for those who
 * come late, then every message published since, as long as there is room. Ends when the topic is closed and it is drained.
 */
export interface Subscription<T = Uint8Array> extends Pick<PortQueue<T>, Receiving>, Disposable {
  /** The topic's name. */
  readonly topic: string
  /** What comes, as a web stream; see {@link PortQueue.readable}. */
  toWeb(options?: ReadableOptions): Pick<WebStreams<T>, 'readable'>
  /** Its own name; undefined: it ends with this participant. */
  readonly subscription: string | undefined
  /**
   * No more: what is left is released, and whoever waits here meets the end. A subscription with a name only stops being
   * received from here; {@link Topic.unsubscribe} removes it. Idempotent.
   */
  close(): void
}

/** @internal A {@link Subscription}: the whole queue, of which publishers use the other side. */
export class SubscriberQueue<T> extends PortQueue<T> implements Subscription<T> {
  readonly #topic: string
  readonly #subscription: string | undefined
  readonly #end: () => void

  constructor(
    session: Session,
    topic: string,
    subscription: string | undefined,
    handle: number,
    codec: NamedCodec<T> | undefined,
  ) {
    const [name, subject] =
      subscription === undefined
        ? [topic, `the subscription to topic "${topic}"`]
        : [`${topic}.${subscription}`, `subscription "${subscription}" to topic "${topic}"`]
    super(session, name, handle, codec, subject)
    this.#topic = topic
    this.#subscription = subscription
    this.#end = () => {
      session.call((open) => open.endSubscription(handle, subscription === undefined))
      session.waits.dispatch()
    }
  }

  get topic(): string {
    return this.#topic
  }

  get subscription(): string | undefined {
    return this.#subscription
  }

  protected override get shownAs(): string {
    return 'Subscription'
  }

  override close(): void {
    this.#end()
  }

  [Symbol.dispose](): void {
    this.#end()
  }
}
