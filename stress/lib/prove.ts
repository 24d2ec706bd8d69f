import type { Scenario } from '../scenarios.js'
import type { Fault } from './jobs.js'
import { possessionsOf } from './possessions.js'
import { run, type RunOptions } from './run.js'

/** A fault that a participant had, and what came of it. */
export interface Proof {
  readonly scenario: string
  readonly fault: Fault
  /** Nothing: it was not found. */
  readonly problems: readonly string[]
}

/** Runs `scenarios` once with each fault that they have to find. */
export async function prove(scenarios: readonly Scenario[], options: RunOptions): Promise<Proof[]> {
  const proofs: Proof[] = []
  for (const scenario of scenarios) {
    for (const fault of findable(scenario)) {
      if (options.signal.aborted) return proofs
      const { problems } = await run(scenario, { ...options, fault })
      proofs.push({ scenario: scenario.name, fault, problems })
    }
  }
  return proofs
}

/** The faults that `scenario` has to find; descriptors are counted where the system shows them. */
export function findable({ faults }: Scenario): readonly Fault[] {
  return possessionsOf(process.pid) === null ? faults.filter((fault) => fault !== 'descriptors') : faults
}
