// What `millrace top` has shown in the last minute.
import type { View } from '../figures/view.js'

/** How far back one can go. */
const KEPT_MS = 60_000
/** Time between two moments at least: there are at most 120, however often it looks. */
const APART_MS = 500

/** What one look has found. */
export interface Moment {
  /** In ms, of a clock that nobody sets. */
  readonly at: number
  readonly view: View
}

/** The last minute. */
export class Moments {
  #kept: readonly Moment[] = []

  /** Keeps `moment`, the newest one, and forgets what is more than a minute older. */
  add(moment: Moment): void {
    const last = this.#kept.at(-1)
    if (last !== undefined && moment.at - last.at < APART_MS) return
    this.#kept = [...this.#kept.filter(({ at }) => moment.at - at <= KEPT_MS), moment]
  }

  /** The one before `moment`; undefined: there is none. */
  before({ at }: Moment): Moment | undefined {
    return this.#kept.findLast((one) => one.at < at)
  }

  /** The one after `moment`; undefined: there is none yet. */
  after({ at }: Moment): Moment | undefined {
    return this.#kept.find((one) => one.at > at)
  }
}
