import { createHistogram } from 'node:perf_hooks'
import type { BlockState, BlockStats } from './stats.js'
import { itemsOf, notStarted } from './stats.js'

/** What a block can do with its time. */
export type Activity = 'busy' | 'starved' | 'backpressured' | 'idle'

type Counter = 'itemsIn' | 'itemsOut' | 'gaps' | 'retried' | 'skipped' | 'deadLettered' | 'lost' | 'undelivered'

const NS_PER_MS = 1e6

/** Counts what a block of JavaScript does. */
export class JsCounts {
  readonly #stats: BlockStats
  readonly #isSource: boolean
  readonly #work = createHistogram()
  #activity: Activity = 'idle'
  #since = performance.now()

  constructor(name: string, isSource: boolean) {
    this.#stats = notStarted(name)
    this.#isSource = isSource
  }

  set state(state: BlockState) {
    this.#stats.state = state
  }

  set error(error: string) {
    this.#stats.error = error
  }

  add(counter: Counter, count: number): void {
    this.#stats[counter] += count
  }

  /** From now on it does that. What it was busy with until now was one call of its work. */
  switch(activity: Activity): void {
    const now = performance.now()
    const elapsed = now - this.#since
    this.#stats[this.#activity] += elapsed
    if (this.#activity === 'busy') {
      this.#stats.workCalls++
      this.#work.record(Math.max(1, Math.round(elapsed * NS_PER_MS)))
    }
    this.#activity = activity
    this.#since = now
  }

  get stats(): BlockStats {
    const [workP50, workP99] =
      this.#work.count === 0 ? [0, 0] : [50, 99].map((of) => this.#work.percentile(of) / NS_PER_MS)
    const times = { [this.#activity]: this.#stats[this.#activity] + performance.now() - this.#since }
    if (this.#stats.state !== 'running') times[this.#activity] = this.#stats[this.#activity]
    return {
      ...this.#stats,
      ...times,
      items: itemsOf(this.#stats, this.#isSource),
      workP50: workP50!,
      workP99: workP99!,
    }
  }
}
