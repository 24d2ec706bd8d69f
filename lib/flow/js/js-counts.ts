import { createHistogram } from 'node:perf_hooks'
import type { Activity, BlockState, BlockStats } from '../block/stats.js'
import { itemsOf, notStarted } from '../block/stats.js'

type Counter = 'itemsIn' | 'itemsOut' | 'gaps' | 'retried' | 'skipped' | 'deadLettered' | 'lost' | 'undelivered'

const NS_PER_MS = 1e6

/** Counts what a block of JavaScript does. */
export class JsCounts {
  readonly #stats: BlockStats
  /** Whether its block has no inputs. */
  readonly isSource: boolean
  readonly #work = createHistogram()
  #activity: keyof Activity = 'idle'
  #since = performance.now()

  constructor(name: string, isSource: boolean) {
    this.#stats = notStarted(name)
    this.isSource = isSource
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

  /** A counter of the block's own. */
  count(name: string, count: number): void {
    this.#stats.counters[name] = (this.#stats.counters[name] ?? 0) + count
  }

  /** So many were made and not sent: they are lost, unless what they were made of is there. */
  unsent(count: number): void {
    if (this.isSource) this.add('lost', count)
  }

  /** From now on it does that. What it was busy with until now was one call of its work. */
  switch(activity: keyof Activity): void {
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
    const stats = { ...this.#stats, items: itemsOf(this.#stats, this.isSource) }
    if (stats.state === 'running') {
      const elapsed = performance.now() - this.#since
      stats[this.#activity] += elapsed
      if (this.#activity === 'busy') stats.working = elapsed
    }
    if (this.#work.count === 0) return stats
    const [workP50, workP99, workMax] = [this.#work.percentile(50), this.#work.percentile(99), this.#work.max]
    return { ...stats, workP50: workP50 / NS_PER_MS, workP99: workP99 / NS_PER_MS, workMax: workMax / NS_PER_MS }
  }
}
