// Figures that a run is compared with: those of this machine, which are kept in a file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Machine } from '../../bench/lib/result.js'
import type { Comparison, Report, Result } from './result.js'

/** What is kept of a run. */
export interface Baseline extends Pick<Report, 'date' | 'commit' | 'machine'> {
  readonly scenarios: Readonly<Record<string, Figures>>
}

type Figures = Pick<Result, 'processes' | 'seconds' | 'perSecond'> & {
  readonly p50: number | null
  readonly p99: number | null
}

/** A scenario is slower if it is so much slower: less is what a machine that others use, too, does by itself. */
const SLOWER = 2

/** Reads it; null: there is none. */
export function readBaseline(path: string): Baseline | null {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Baseline) : null
}

/** Keeps the figures of a run; those of scenarios that it did not have stay if the machine is the same. */
export function writeBaseline(
  path: string,
  { date, commit, machine, results }: Omit<Report, 'command' | 'modified'>,
): void {
  const old = readBaseline(path)
  const kept = old !== null && isSame(old.machine, machine) ? old.scenarios : {}
  const scenarios = Object.fromEntries(results.map((result) => [result.scenario, figuresOf(result)]))
  const baseline: Baseline = { date, commit, machine, scenarios: { ...kept, ...scenarios } }
  writeFileSync(path, `${JSON.stringify(baseline, undefined, 2)}\n`)
}

/** Why runs on `machine` cannot be compared with it; null: they can. */
export function incomparable(baseline: Baseline | null, machine: Machine): string | null {
  if (baseline === null) return 'there is no baseline: --update makes one'
  if (!isSame(baseline.machine, machine)) return 'the baseline is of another machine, or another Node.js'
  if (machine.load > machine.cores) return `others use this machine: load ${machine.load} on ${machine.cores} cores`
  return null
}

/** How `result` stands to what is known of its scenario; null: nothing is known of one like it. */
export function compare({ scenarios }: Baseline, result: Omit<Result, 'baseline'>): Comparison | null {
  const known = scenarios[result.scenario]
  if (known === undefined || known.processes !== result.processes) return null
  const { p50 } = figuresOf(result)
  return {
    perSecond: result.perSecond / known.perSecond,
    p50: p50 === null || known.p50 === null ? null : p50 / known.p50,
  }
}

/** What is so much worse than the baseline, in words. */
export function slower({ perSecond }: Comparison): string[] {
  if (perSecond * SLOWER >= 1) return []
  return [`it did ${Math.round(perSecond * 100)} % of the messages a second of the baseline`]
}

function figuresOf({ processes, seconds, perSecond, latency }: Omit<Result, 'baseline'>): Figures {
  return { processes, seconds, perSecond, p50: latency?.p50 ?? null, p99: latency?.p99 ?? null }
}

function isSame(one: Machine, other: Machine): boolean {
  return one.cpu === other.cpu && one.cores === other.cores && majorOf(one) === majorOf(other)
}

function majorOf({ node }: Machine): string {
  return node.split('.')[0]!
}
