import type { BlockState, BlockStats } from '../block/stats.js'
import { notStarted } from '../block/stats.js'

/** What the replicas of a block have in common is the furthest from its end. */
const STATES = ['failed', 'running', 'created', 'stopped'] as const satisfies readonly BlockState[]

/** What is no sum, but of all replicas the longest. */
const LONGEST = new Set(['workP50', 'workP99'])

/** What has been counted of all replicas of a block together. */
export function totalOf(name: string, replicas: readonly BlockStats[]): BlockStats {
  const total = notStarted(name)
  for (const one of replicas) {
    for (const key of Object.keys(total) as (keyof BlockStats)[]) {
      const [before, more] = [total[key], one[key]]
      if (typeof before !== 'number' || typeof more !== 'number') continue
      Object.assign(total, { [key]: LONGEST.has(key) ? Math.max(before, more) : before + more })
    }
  }
  total.state = STATES.find((state) => replicas.some((one) => one.state === state)) ?? 'created'
  total.error = replicas.find(({ error }) => error !== null)?.error ?? null
  return total
}
