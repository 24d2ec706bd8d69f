import { MillraceError } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { DELIVERIES } from '../options.js'
import { Receiver } from '../queue/receiver.js'
import { Sender } from '../queue/sender.js'
import type { Limits } from '../session/limits.js'
import type { Namespace } from './namespace.js'

/**
 * Wakes one of those who wait, in whatever process, for something a queue cannot be waited for. It is a queue of one token: a
 * notification that nobody hears yet is kept, and a second one adds nothing. It exists from the first wait on; until then notifying is
 * a look at an empty place.
 *
 * Nobody misses one who opens the signal, then looks, then listens. The token is leased while its hearer looks: when that dies,
 * another one hears it.
 */
export class Signal {
  readonly #namespace: Namespace
  readonly #name: string
  /** One buffer serves all notifications: nothing is allocated when memory is short. */
  readonly #metal: BufferPtr
  #token: BufferPtr | undefined
  #handle: number
  #sender!: Sender
  #receiver!: Receiver
  #left = false

  constructor(namespace: Namespace, name: string, metal: BufferPtr) {
    this.#namespace = namespace
    this.#name = name
    this.#metal = metal
    this.#handle = this.#find()
  }

  /** From now on notifications are kept. */
  open(): void {
    this.#find(true)
  }

  /** Whether anybody has ever waited for it. */
  get exists(): boolean {
    return this.#namespace.session.call((native) => native.depth(this.#handle)) !== null
  }

  notify(): void {
    if (this.#left) return
    this.#token ??= this.#metal.share()
    try {
      if (this.#sender.trySend(this.#token)) this.#token = undefined
    } catch (error) {
      // Its listeners have been told by the end of the queue.
      if (!isGone(error)) throw error
      this.#find()
    }
  }

  /** Waits for a notification, of an open signal. Release it, or give it back for somebody else to hear. Null: the signal has gone. */
  async hear(limits: Limits): Promise<BufferPtr | null> {
    try {
      return await this.#receiver.wait(limits, () => this.#receiver.take())
    } catch (error) {
      if (limits.cancel!.cancelled || !isGone(error)) throw error
      return null
    }
  }

  /** Wakes everybody: there will be no more notifications. */
  close(): void {
    this.#namespace.session.call((native) => native.closeQueue(this.#handle))
  }

  destroy(): void {
    this.#namespace.session.call((native) => native.destroyQueue(this.#handle))
  }

  /** This end notifies no more. */
  leave(): void {
    this.#left = true
    this.#token?.release()
  }

  #find(open = false): number {
    const { session } = this.#namespace
    const options = open ? { capacity: 1, delivery: DELIVERIES.indexOf('at-least-once') } : undefined
    this.#handle = session.call((native) => native.queue(this.#name, options))
    this.#sender = new Sender(session, this.#handle, `queue '${this.#name}'`)
    this.#receiver = new Receiver(session, this.#handle, `queue '${this.#name}'`)
    return this.#handle
  }
}

function isGone(error: unknown): boolean {
  return (
    error instanceof MillraceError && (error.code === 'ERR_MILLRACE_DESTROYED' || error.code === 'ERR_MILLRACE_CLOSED')
  )
}
