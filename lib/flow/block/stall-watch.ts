import type { EventEmitter } from 'node:events'
import { MillraceError } from '../../errors.js'

/** A block that has not returned from its work. */
export interface Stall {
  /** Its name. */
  block: string
  /** How long the call has taken so far, in ms. */
  working: number
}

/** Events of what runs blocks, with {@link SchedulerOptions.stallTimeout}. */
export interface StallEvents {
  /** A call of the work of a block takes longer than that. Told once of each call; up to a quarter later. */
  stalled: [stall: Stall]
}

/** A share of the timeout in which it is looked once. */
const LOOK_SHARE = 1 / 4

/** Looks now and then which blocks have not returned from their work. It keeps nothing alive. */
export class StallWatch {
  readonly #stalls: () => readonly Stall[]
  readonly #timer: NodeJS.Timeout | undefined
  readonly #waiting = new Set<(stall: Stall) => void>()
  #known: readonly Stall[] = []

  /**
   * @param timeout in ms, or Infinity
   * @param stalls calls of work that have taken longer than it
   */
  constructor(timeout: number, stalls: () => readonly Stall[], tell: EventEmitter<StallEvents>) {
    this.#stalls = stalls
    this.#timer = timeout === Infinity ? undefined : setInterval(() => this.#look(tell), timeout * LOOK_SHARE).unref()
  }

  /** Whether a block has not returned when it was last looked. */
  get isStalled(): boolean {
    return this.#known.length > 0
  }

  /** Calls `stalled` when a block does not return, until the returned function is called. */
  onStall(stalled: (stall: Stall) => void): () => void {
    this.#waiting.add(stalled)
    return () => this.#waiting.delete(stalled)
  }

  /** There is nothing more to look at. */
  stop(): void {
    clearInterval(this.#timer)
    this.#known = []
  }

  #look(tell: EventEmitter<StallEvents>): void {
    const before = this.#known
    this.#known = this.#stalls()
    for (const stall of this.#known) {
      const known = before.find(({ block }) => block === stall.block)
      // One that takes less than it did is another call.
      if (known === undefined || known.working > stall.working) tell.emit('stalled', stall)
    }
    const [first] = this.#known
    if (first !== undefined) for (const stalled of this.#waiting) stalled(first)
  }
}

/** Whether `end` comes within `ms` milliseconds; a block of `watch` that does not return before that. Rejects as `end` does. */
export function endsWithin(end: Promise<unknown>, ms: number, watch?: StallWatch): Promise<boolean | Stall> {
  return new Promise((resolve, reject) => {
    const timer = ms === Infinity ? undefined : setTimeout(() => settle(() => resolve(false)), ms)
    const forget = watch?.onStall((stall) => settle(() => resolve(stall)))
    const settle = (tell: () => void) => {
      clearTimeout(timer)
      forget?.()
      tell()
    }
    end.then(
      () => settle(() => resolve(true)),
      (error: unknown) => settle(() => reject(error)),
    )
  })
}

/** The error of who waits for the end of blocks, of which one does not return. */
export function stallError(what: string, { block, working }: Stall): MillraceError {
  const message = `${what}: block "${block}" has not returned from its work for ${Math.round(working)} ms`
  return new MillraceError('ERR_MILLRACE_STALLED', message)
}
