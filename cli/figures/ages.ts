// For how long the oldest message of a queue has waited, as far as that was seen: messages carry no time of their own, but who looks again and
// again sees which of them are the same.
import type { QueueStats } from '../../index.js'

/** A look at a queue in which more had been sent than in the one before. */
interface Look {
  readonly at: number
  readonly sent: number
}

/** Looks that are kept of a queue. */
const LOOKS_MAX = 1000

/** What has been seen of queues. */
export class Ages {
  readonly #looks = new Map<string, Look[]>()

  /** ms that the oldest message of `queue` has waited at least, `at` this moment in ms; null: there is none. Called at each look. */
  oldest(queue: string, { sent, depth }: Pick<QueueStats, 'sent' | 'depth'>, at: number): number | null {
    let looks = this.#looks.get(queue) ?? []
    // It has been made since.
    if ((looks.at(-1)?.sent ?? 0) > sent) looks = []
    if (looks.at(-1)?.sent !== sent) looks.push({ at, sent })
    // Those from before the oldest message was sent; messages leave in the order in which they were sent.
    const left = sent - depth
    looks = looks.filter((look) => look.sent > left)
    // What is said without one is less, and true.
    if (looks.length > LOOKS_MAX) looks.splice(1, 1)
    this.#looks.set(queue, looks)
    return looks[0] === undefined ? null : at - looks[0].at
  }

  /** Forgets queues that are not among `there`. */
  keep(there: ReadonlySet<string>): void {
    for (const queue of this.#looks.keys()) if (!there.has(queue)) this.#looks.delete(queue)
  }
}
