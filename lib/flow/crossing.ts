import { hasCode } from '../errors.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { Side } from './own-queue.js'
import type { Place } from './places.js'

const SIDES = ['senders', 'receivers'] as const

/**
 * A queue between blocks of different processes, as the process of the flow sees it. It knows who is at the queue and has not ended: each of
 * several processes tells what it alone knows.
 */
export class Crossing {
  readonly queue: PortQueue<unknown>
  readonly #all: Readonly<Record<Side, readonly Place[]>>
  readonly #at: Readonly<Record<Side, Set<Place>>>

  constructor(queue: PortQueue<unknown>, all: Readonly<Record<Side, readonly Place[]>>) {
    this.queue = queue
    this.#all = all
    this.#at = { senders: new Set(all.senders), receivers: new Set(all.receivers) }
  }

  /** The blocks of `place` at that side have ended: closes the queue behind the last one. */
  left(side: Side, place: Place): void {
    if (this.#at[side].delete(place) && this.#at[side].size === 0) this.#close()
  }

  /** `place` has ended. Nobody sends or takes any more there. */
  ended(place: Place): void {
    for (const side of SIDES) this.left(side, place)
  }

  /** `place` is to be started again, and may deal with what another process leaves. */
  restarts(place: Place): void {
    for (const side of SIDES) if (this.#all[side].includes(place)) this.#at[side].add(place)
  }

  #close(): void {
    try {
      if (!this.queue.session.closed) this.queue.close()
    } catch (error) {
      // The block that took from it has ended before.
      if (!hasCode(error, 'ERR_MILLRACE_DESTROYED')) throw error
    }
  }
}
