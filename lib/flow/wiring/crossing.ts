import { hasCode } from '../../errors.js'
import type { PortQueue } from '../../queue/port-queue.js'
import type { OnPeerLost } from '../block/options.js'
import type { Side } from '../js/own-queue.js'
import type { Place } from './places.js'

const SIDES = ['senders', 'receivers'] as const

/**
 * A queue between blocks of different processes, as the process of the flow sees it. It knows who is at the queue and has not ended: each of
 * several processes tells what it alone knows.
 */
export class Crossing {
  readonly queue: PortQueue<unknown>
  /** What becomes of it when nobody who takes from it is alive. */
  readonly onPeerLost: OnPeerLost
  /** What errors call the link. */
  readonly label: string
  readonly #all: Readonly<Record<Side, readonly Place[]>>
  readonly #at: Readonly<Record<Side, Set<Place>>>
  /** Receivers that have died and are not back. */
  readonly #lost = new Set<Place>()
  #dropping: AbortController | undefined
  #dropped = 0

  constructor(
    queue: PortQueue<unknown>,
    label: string,
    onPeerLost: OnPeerLost,
    all: Readonly<Record<Side, readonly Place[]>>,
  ) {
    this.queue = queue
    this.label = label
    this.onPeerLost = onPeerLost
    this.#all = all
    this.#at = { senders: new Set(all.senders), receivers: new Set(all.receivers) }
  }

  /** Messages that were dropped while nobody was there to take them. */
  get dropped(): number {
    return this.#dropped
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

  /** `place` has died. @returns whether that leaves nobody who takes from the queue */
  lost(place: Place): boolean {
    if (!this.#all.receivers.includes(place)) return false
    this.#lost.add(place)
    if (this.#lost.size < this.#all.receivers.length) return false
    if (this.onPeerLost === 'detach' || this.onPeerLost === 'fail') this.#close()
    return true
  }

  /** `place` runs again. */
  back(place: Place): void {
    this.#lost.delete(place)
    this.#dropping?.abort()
    this.#dropping = undefined
  }

  /** Takes what comes in place of those who are not there, so that whoever sends does not wait for them. */
  async drop(): Promise<void> {
    if (this.#dropping !== undefined) return
    const { signal } = (this.#dropping = new AbortController())
    try {
      for await (const batch of this.queue.batches({ signal })) this.#dropped += batch.length
    } catch (error) {
      const isOver = signal.aborted || this.queue.session.closed
      if (!isOver && !hasCode(error, 'ERR_MILLRACE_DESTROYED')) throw error
    }
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
