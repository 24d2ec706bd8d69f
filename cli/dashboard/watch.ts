// Looks at domains for the page: every two seconds while somebody watches, else as often as the history needs.
import { pause } from '../follow.js'
import { Sampler, type Sample } from '../figures/sampler.js'
import { History, POINT_MS } from './history.js'
import { Log } from './log.js'
import type { Events } from './protocol.js'

/** Time between two looks while somebody watches. */
const LIVE_MS = 2000

/** Is told of events; those of one look come together. */
export type Watcher = (events: Partial<Events>) => void

/** What the page shows, and who watches it. */
export class Watch {
  readonly history = new History()
  readonly #log = new Log()
  readonly #sampler: Sampler
  readonly #watchers = new Set<Watcher>()
  #last: Sample
  /** Ends the pause between two looks. */
  #hurry = new AbortController()

  /** Looks for the first time. @param asked names of domains; none: all of the directory */
  constructor(asked: readonly string[], where: { directory?: string }) {
    this.#sampler = new Sampler(asked, where)
    this.#last = this.#look()
  }

  /** How many watch. */
  get watchers(): number {
    return this.#watchers.size
  }

  /** What the last look has found. */
  get last(): Sample {
    return this.#last
  }

  /** Looks again and again until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const hurry = () => this.#hurry.abort()
    signal.addEventListener('abort', hurry, { once: true })
    while (!signal.aborted) {
      const looked = this.#last.reading.at
      // Somebody who comes during a long pause is not kept waiting for its end.
      while (!signal.aborted && performance.now() - looked < this.#interval) {
        this.#hurry = new AbortController()
        await pause(this.#interval - (performance.now() - looked), this.#hurry.signal)
      }
      if (!signal.aborted) this.#last = this.#look()
    }
    signal.removeEventListener('abort', hurry)
  }

  /** Tells `watcher` what there is, and from now on what comes, until the function that this returns is called. */
  join(watcher: Watcher): () => void {
    const { view } = this.#last
    watcher({ log: this.#log.entries, view, sparks: this.history.sparks() })
    this.#watchers.add(watcher)
    this.#hurry.abort()
    return () => this.#watchers.delete(watcher)
  }

  get #interval(): number {
    return this.#watchers.size > 0 ? LIVE_MS : POINT_MS
  }

  #look(): Sample {
    const sample = this.#sampler.look()
    const now = Date.now()
    const log = this.#log.add(sample, now)
    const isPoint = this.history.add(sample.view, now)
    if (this.#watchers.size === 0) return sample
    const events = {
      ...(log.length > 0 && { log }),
      view: sample.view,
      ...(isPoint && { sparks: this.history.sparks() }),
    }
    for (const watcher of this.#watchers) watcher(events)
    return sample
  }
}
