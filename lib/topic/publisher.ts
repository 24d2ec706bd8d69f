import type { SharedBufferAllocator } from '../memory/allocator.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { idOf, markSent, nameToSend } from '../memory/buffer-ptr.js'
import type { Encoded } from '../codec/codec.js'
import { MillraceError } from '../errors.js'
import { BATCH_MAX } from '../native/generated/block.js'
import { STATUS_CLOSED, STATUS_FULL, STATUS_NOT_FOUND, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { WaitOptions } from '../options.js'
import { checkWait } from '../options.js'
import { Outbox } from '../queue/sender.js'
import type { Session } from '../session/session.js'
import { byteLengthOf, store } from '../memory/store.js'
import type { Target } from '../session/wait-key.js'
import { spaceIn } from '../session/wait-key.js'
import { budgetOf } from '../session/waiter.js'

/** A subscriber that lets publishers wait and has no room. */
export interface BlockedSubscriber {
  /** Name of its subscription, empty if it has none. */
  name: string
  /** Slot of the participant that made it; null: that has gone, and the subscription has a name. */
  participant: number | null
  /** Process id of that participant. */
  pid: number | null
  /** Name of that participant. */
  process: string | null
}

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
  readonly #allocator: SharedBufferAllocator
  readonly #topic: number
  readonly #subject: string
  readonly #creation: Target

  constructor(session: Session, allocator: SharedBufferAllocator, topic: number, name: string) {
    this.#session = session
    this.#allocator = allocator
    this.#topic = topic
    this.#subject = `topic '${name}'`
    this.#creation = spaceIn(topic)
  }

  tryPublish(buffer: BufferPtr): Published | null {
    nameToSend(0, buffer, this.#session)
    const status = native.publish(this.#session.handle, this.#topic, 1)
    if (status === STATUS_NOT_FOUND || status === STATUS_CLOSED) return null
    const published = tally()
    if (status === STATUS_OK) {
      markSent(buffer)
      return published
    }
    if (status !== STATUS_FULL) throw this.#session.failure(status, this.#subject)
    const blocked = this.#takeBlocked()
    for (const subscriber of blocked) this.#passOver(subscriber)
    buffer.release()
    return { ...published, blocked: blocked.map(withoutHandle) }
  }

  publish(buffer: BufferPtr, options: WaitOptions | undefined): Promise<Published> {
    try {
      checkWait(options)
      nameToSend(0, buffer, this.#session)
      const status = native.publish(this.#session.handle, this.#topic, 1)
      if (status === STATUS_OK) {
        const published = tally()
        markSent(buffer)
        return Promise.resolve(published)
      }
      return this.#goOn([buffer], status, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async publishMany(buffers: readonly BufferPtr[], options: WaitOptions | undefined): Promise<Published> {
    checkWait(options)
    if (buffers.length === 0) return NOTHING
    return await this.#goOn(buffers, this.#publishSome(buffers, 0), options)
  }

  tryPut(encoded: Encoded): Published | null {
    const buffer = this.#tryStore(encoded)
    if (buffer === null) return null
    try {
      return this.tryPublish(buffer)
    } finally {
      buffer.release()
    }
  }

  async putMany(list: readonly Encoded[], options: WaitOptions | undefined): Promise<Published> {
    checkWait(options)
    const budget = budgetOf(options)
    let all = NOTHING
    for (const encoded of list) {
      const buffer = this.#tryStore(encoded) ?? (await this.#storeLater(encoded, budget()))
      try {
        all = sum(all, await this.publish(buffer, budget()))
      } finally {
        buffer.release()
      }
    }
    return all
  }

  /** Waits for the topic to exist. */
  async exists(options: WaitOptions | undefined): Promise<void> {
    const attempt = () => this.#exists() || undefined
    await this.#session.waiting.wait(this.#creation, options, `${this.#subject} was not created`, attempt)
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
  async #goOn(
    buffers: readonly BufferPtr[],
    status: native.Status,
    options: WaitOptions | undefined,
  ): Promise<Published> {
    const budget = budgetOf(options)
    let all = NOTHING
    for (let done = 0; ; status = this.#publishSome(buffers, done)) {
      all = sum(all, tally())
      for (const end = done + native.resultCount(); done < end; done++) markSent(buffers[done]!)
      if (status === STATUS_FULL) {
        const blocked = await this.#deliver(buffers[done]!, budget())
        all = sum(all, { delivered: blocked.length, dropped: 0, blocked })
        buffers[done++]!.release()
      } else if (status === STATUS_NOT_FOUND) {
        await this.exists(budget())
      } else if (status !== STATUS_OK) {
        throw this.#session.failure(status, this.#subject)
      }
      if (done >= buffers.length) return all
    }
  }

  /** Gives `buffer` to those who had no room, each as soon as it has some. Who ends meanwhile needs it no more. */
  async #deliver(buffer: BufferPtr, options: WaitOptions | undefined): Promise<readonly BlockedSubscriber[]> {
    const blocked = this.#takeBlocked()
    const missed: Blocked[] = []
    let failure: unknown
    await Promise.all(
      blocked.map(async (subscriber) => {
        const outbox = new Outbox(this.#session, subscriber.queue, this.#subject)
        const share = buffer.share()
        try {
          await outbox.send(share, options)
        } catch (error) {
          if (hasEnded(error) && !this.#session.closed) return
          failure = error
          missed.push(subscriber)
        } finally {
          share.release()
        }
      }),
    )
    if (missed.length === 0) return blocked.map(withoutHandle)
    if (!this.#session.closed) for (const subscriber of missed) this.#passOver(subscriber)
    throw isTimeout(failure) ? this.#timeout(failure, missed.map(withoutHandle)) : failure
  }

  #timeout(error: MillraceError, cause: BlockedSubscriber[]): MillraceError {
    const message = `${error.message}, of ${cause.map(describe).join(', ')}; everybody else has the message`
    return new MillraceError('ERR_MILLRACE_TIMEOUT', message, { cause })
  }

  #takeBlocked(): Blocked[] {
    return JSON.parse(this.#session.call((open) => open.takeBlocked(this.#topic))) as Blocked[]
  }

  #passOver({ queue }: Blocked): void {
    this.#session.call((open) => open.passOver(this.#topic, queue))
  }

  #tryStore(encoded: Encoded): BufferPtr | null {
    try {
      for (;;) {
        const buffer = this.#allocator.allocate(byteLengthOf(encoded))
        if (this.#fill(buffer, encoded)) return buffer
      }
    } catch (error) {
      const exhausted = error instanceof MillraceError && error.code === 'ERR_MILLRACE_EXHAUSTED'
      if (exhausted && this.#session.exhausted === 'wait') return null
      throw error
    }
  }

  async #storeLater(encoded: Encoded, options: WaitOptions | undefined): Promise<BufferPtr> {
    const budget = budgetOf(options)
    for (;;) {
      const buffer = await this.#allocator.allocateAsync(byteLengthOf(encoded), budget())
      if (this.#fill(buffer, encoded)) return buffer
    }
  }

  /** False: the length was a guess, which has been set right; the buffer is released. */
  #fill(buffer: BufferPtr, encoded: Encoded): boolean {
    let stored = false
    try {
      stored = store(this.#session, idOf(buffer), encoded)
    } finally {
      if (!stored) buffer.release()
    }
    return stored
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

function describe({ name, participant, pid, process }: BlockedSubscriber): string {
  const who =
    participant === null ? 'whose maker has gone' : `of participant ${participant} ('${process}', process ${pid})`
  return name === '' ? `the subscriber ${who}` : `subscription '${name}' ${who}`
}

function hasEnded(error: unknown): boolean {
  const ends = ['ERR_MILLRACE_DESTROYED', 'ERR_MILLRACE_CLOSED']
  return error instanceof MillraceError && ends.includes(error.code)
}

function isTimeout(error: unknown): error is MillraceError {
  return error instanceof MillraceError && error.code === 'ERR_MILLRACE_TIMEOUT'
}
