import type { Encoded } from '../codec/codec.js'
import { hasCode, MillraceError } from '../errors.js'
import { BufferPtr, checkSendable, markSent, nameToSend, NO_ID } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { detachEncoded, mustWaitForMemory, storeEncoded, storeLater } from '../memory/store.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_CLOSED, STATUS_FULL, STATUS_NOT_FOUND, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { Limits, WaitOptions } from '../session/limits.js'
import { Sender } from '../queue/sender.js'
import { limitsOf } from '../session/limits.js'
import { tellSent } from '../session/passing.js'
import type { Session } from '../session/session.js'
import type { WaitKey } from '../session/wait-key.js'
import { dataIn, spaceIn } from '../session/wait-key.js'
import type { BlockedSubscriber } from './blocked.js'
import { describe, tellIfBlocked } from './blocked.js'

/** Who got what was published. */
export interface Published {
  /** Messages put into queues of subscribers. */
  delivered: number
  /**
   * Subscribers that did not get it: their queue was full, and their policy drops what is new. What one drops of the old to make
   * room is counted in {@link QueueStats.dropped} of its subscription.
   */
  dropped: number
  /** Subscribers that let publishers wait and had no room: `publish` has waited for them, `tryPublish` has passed them over. */
  blocked: readonly BlockedSubscriber[]
}

type Blocked = BlockedSubscriber & { queue: number }

const NOBODY: readonly BlockedSubscriber[] = Object.freeze([])
const NOTHING: Published = Object.freeze({ delivered: 0, dropped: 0, blocked: NOBODY })

/** The publishing side of a topic. */
export class Publisher {
  readonly #session: Session
  readonly #topic: number
  readonly #onBlocked: (subscriber: BlockedSubscriber) => void
  readonly #subject: string
  readonly #creation: WaitKey
  readonly #naming: WaitKey

  constructor(session: Session, topic: number, name: string, onBlocked: (subscriber: BlockedSubscriber) => void) {
    this.#session = session
    this.#topic = topic
    this.#onBlocked = onBlocked
    this.#subject = `topic "${name}"`
    this.#creation = spaceIn(topic)
    this.#naming = dataIn(topic)
  }

  tryPublish(buffer: BufferPtr): Published | null {
    nameToSend(0, buffer, this.#session)
    const status = native.publish(this.#session.handle, this.#topic, 1)
    if (status === STATUS_NOT_FOUND || status === STATUS_CLOSED) return null
    const published = tally()
    if (status === STATUS_OK) {
      markSent(buffer)
      return this.#told(published, 1)
    }
    if (status !== STATUS_FULL) throw this.#session.failure(status, this.#subject)
    const blocked = this.#takeBlocked()
    for (const subscriber of blocked) this.#passOver(subscriber)
    buffer.release()
    return this.#told({ ...published, blocked: blocked.map(withoutHandle) }, 1)
  }

  publish(buffer: BufferPtr, limits: Limits): Promise<Published> {
    nameToSend(0, buffer, this.#session)
    const status = native.publish(this.#session.handle, this.#topic, 1)
    if (status !== STATUS_OK) return this.#goOn([buffer], status, limits)
    const published = tally()
    markSent(buffer)
    return this.#session.waits.doneWith(this.#told(published, 1))
  }

  async publishMany(buffers: readonly BufferPtr[], options: WaitOptions | undefined): Promise<Published> {
    const limits = limitsOf(options)
    const list = checkSendable(buffers, this.#session)
    if (list.length === 0) return NOTHING
    return await this.#goOn(list, this.#publishSome(list, 0), limits)
  }

  tryPut(encoded: Encoded): Published | null {
    const id = storeEncoded(this.#session, encoded)
    if (id === NO_ID) {
      mustWaitForMemory(this.#session, encoded)
      return null
    }
    const buffer = new BufferPtr(this.#session, id)
    try {
      return this.tryPublish(buffer)
    } finally {
      discard(buffer)
    }
  }

  /** Puts all of `list`, which is the caller's to change: what has to wait is copied first. */
  async putMany(list: Encoded[], limits: Limits): Promise<Published> {
    let all = NOTHING
    for (let i = 0; i < list.length; i++) {
      const id = storeEncoded(this.#session, list[i]!)
      // Whoever awaits this may change what it has put meanwhile.
      if (i === 0) for (let j = id === NO_ID ? 0 : 1; j < list.length; j++) list[j] = detachEncoded(list[j]!)
      const buffer = id === NO_ID ? await storeLater(this.#session, list[i]!, limits) : new BufferPtr(this.#session, id)
      try {
        all = sum(all, await this.publish(buffer, limits))
      } finally {
        discard(buffer)
      }
    }
    return all
  }

  /** Makes the topic if nobody has, and somebody subscribes to it; whether it exists. */
  make(): boolean {
    return this.#session.call((open) => open.makeTopic(this.#topic))
  }

  /** Waits for somebody to create the topic, or to subscribe to it, which makes it, until `attempt` succeeds. */
  exists<T>(limits: Limits, attempt: () => T | undefined): Promise<T> {
    return this.#wait(this.#creation, limits, attempt)
  }

  /** The same for somebody to create it who says what values become. */
  named<T>(limits: Limits, attempt: () => T | undefined): Promise<T> {
    return this.#wait(this.#naming, limits, attempt)
  }

  #wait<T>(key: WaitKey, limits: Limits, attempt: () => T | undefined): Promise<T> {
    const look = () => (this.#exists() ? attempt() : undefined)
    return this.#session.waits.wait(key, limits, `${this.#subject} was not created`, look)
  }

  #exists(): boolean {
    const status = native.publish(this.#session.handle, this.#topic, 0)
    if (status === STATUS_NOT_FOUND) return false
    if (status === STATUS_OK) return true
    throw this.#session.failure(status, this.#subject)
  }

  /** Publishes as many of `buffers` from `from` on as one crossing can. */
  #publishSome(buffers: readonly BufferPtr[], from: number): native.Status {
    const count = Math.min(buffers.length - from, BATCH_MAX)
    for (let i = 0; i < count; i++) nameToSend(i, buffers[from + i]!, this.#session)
    return native.publish(this.#session.handle, this.#topic, count)
  }

  /** Goes on after a crossing for `buffers` from the first on, which ended with `status`, until all are published. */
  async #goOn(buffers: readonly BufferPtr[], status: native.Status, limits: Limits): Promise<Published> {
    let all = NOTHING
    for (let done = 0; ; status = this.#publishSome(buffers, done)) {
      const first = done
      const published = tally()
      all = sum(all, published)
      for (const end = done + native.resultCount(); done < end; done++) markSent(buffers[done]!)
      if (status === STATUS_FULL) {
        const blocked = await this.#deliver(buffers[done]!, limits)
        all = sum(all, { delivered: blocked.length, dropped: 0, blocked })
        buffers[done++]!.release()
      } else if (status === STATUS_NOT_FOUND) {
        await this.exists(limits, () => true)
      } else if (status !== STATUS_OK) {
        throw this.#session.failure(status, this.#subject)
      }
      this.#told(published, done - first)
      if (done >= buffers.length) return all
    }
  }

  /** `published`, which has been told. */
  #told(published: Published, count: number): Published {
    tellSent(this.#session, this.#subject, count, published.dropped)
    return published
  }

  /** Gives `buffer` to those who had no room, each as soon as it has some. Who ends meanwhile needs it no more. */
  async #deliver(buffer: BufferPtr, limits: Limits): Promise<readonly BlockedSubscriber[]> {
    const blocked = this.#takeBlocked()
    const missed: Blocked[] = []
    let failure: unknown
    await Promise.all(
      blocked.map(async (subscriber) => {
        try {
          const sender = new Sender(this.#session, subscriber.queue, this.#subject, false)
          const sending = sender.sendLater(buffer.share(), limits, true)
          await tellIfBlocked(sending, () => this.#onBlocked(withoutHandle(subscriber)))
        } catch (error) {
          if (hasCode(error, 'ERR_MILLRACE_DESTROYED', 'ERR_MILLRACE_CLOSED') && !this.#session.closed) return
          failure = error
          missed.push(subscriber)
        }
      }),
    )
    if (missed.length === 0) return blocked.map(withoutHandle)
    if (!this.#session.closed) for (const subscriber of missed) this.#passOver(subscriber)
    throw hasCode(failure, 'ERR_MILLRACE_TIMEOUT') ? this.#timeout(failure, missed.map(withoutHandle)) : failure
  }

  #timeout(error: MillraceError, cause: BlockedSubscriber[]): MillraceError {
    const message = `${error.message}: full is ${cause.map(describe).join(', ')}; all others have the message, but for those whose overflow policy has dropped it`
    return new MillraceError('ERR_MILLRACE_TIMEOUT', message, { cause })
  }

  #takeBlocked(): Blocked[] {
    return JSON.parse(this.#session.call((open) => open.takeBlocked(this.#topic))) as Blocked[]
  }

  #passOver({ queue }: Blocked): void {
    this.#session.call((open) => open.passOver(this.#topic, queue))
  }
}

/** What the last crossing came to. */
function tally(): Published {
  return { delivered: native.deliveredCount(), dropped: native.droppedCount(), blocked: NOBODY }
}

function sum(a: Published, b: Published): Published {
  const blocked = b.blocked.length === 0 ? a.blocked : [...a.blocked, ...b.blocked]
  return { delivered: a.delivered + b.delivered, dropped: a.dropped + b.dropped, blocked }
}

function withoutHandle({ name, participant, pid, process }: Blocked): BlockedSubscriber {
  return { name, participant, pid, process }
}
