import type { BufferPtr } from '../memory/buffer-ptr.js'
import { MillraceError } from '../errors.js'
import type { ShmManager } from '../domain/manager.js'
import type { PortQueue } from '../queue/port-queue.js'

/** Marks a queue as a bell, so that nobody takes it for one of values. */
export const BELL_TYPE = 0x73 << 24

/**
 * Wakes one of those who wait, in whatever process, for something a PortQueue cannot be waited for. It is a queue of one token:
 * a ring that nobody hears yet is kept, and a second one adds nothing. It exists from the first wait on; until then ringing is
 * a look at an empty place.
 *
 * Nobody misses a ring who opens the bell, then looks, then listens. The token is leased while its hearer looks: when that
 * dies, another one hears it.
 */
export class Bell {
  readonly #shm: ShmManager
  readonly #name: string
  /** One buffer serves all rings: nothing is allocated when memory is short. */
  readonly #metal: BufferPtr
  #token: BufferPtr | undefined
  #queue: PortQueue
  #left = false

  constructor(shm: ShmManager, name: string, metal: BufferPtr) {
    this.#shm = shm
    this.#name = name
    this.#metal = metal
    this.#queue = shm.portQueue(name)
  }

  /** From now on rings are kept. */
  open(): void {
    this.#queue = this.#shm.portQueue(this.#name, { capacity: 1, delivery: 'at-least-once', typeId: BELL_TYPE })
  }

  /** Whether anybody has ever waited for it. */
  get exists(): boolean {
    return this.#queue.info !== null
  }

  ring(): void {
    if (this.#left) return
    this.#token ??= this.#metal.share()
    try {
      if (this.#queue.trySend(this.#token)) this.#token = undefined
    } catch (error) {
      // Its listeners have been told by the end of the queue.
      if (!isGone(error)) throw error
      this.#queue = this.#shm.portQueue(this.#name)
    }
  }

  /** Waits for a ring, of an open bell. Release it, or give it back for somebody else to hear. Undefined: the bell has gone. */
  async hear(signal: AbortSignal): Promise<BufferPtr | undefined> {
    try {
      return await this.#queue.receive({ signal })
    } catch (error) {
      if (signal.aborted || !isGone(error)) throw error
      return undefined
    }
  }

  /** Wakes everybody: there will be no more rings. */
  close(): void {
    this.#queue.close()
  }

  destroy(): void {
    this.#queue.destroy()
  }

  /** This end rings no more. */
  leave(): void {
    this.#left = true
    this.#token?.release()
  }
}

function isGone(error: unknown): boolean {
  return (
    error instanceof MillraceError && (error.code === 'ERR_MILLRACE_DESTROYED' || error.code === 'ERR_MILLRACE_CLOSED')
  )
}
