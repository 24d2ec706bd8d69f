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

/** To touch as much memory as is leaked takes a good part of a second of a processor, which others may have, too. */
const LEAK_SECONDS = 3

/** Proofs at a time: what they need is time more than processors. */
const AT_ONCE = 2

/** Runs `scenarios` once with each fault that they have to find. */
export async function prove(scenarios: readonly Scenario[], options: RunOptions): Promise<Proof[]> {
  const cases = scenarios.flatMap((scenario) => findable(scenario).map((fault) => ({ scenario, fault })))
  const proofs: Proof[] = []
  while (proofs.length < cases.length && !options.signal.aborted) {
    const some = cases.slice(proofs.length, proofs.length + AT_ONCE)
    const found = some.map(async ({ scenario, fault }) => {
      const seconds = fault === 'memory' ? Math.max(options.seconds, LEAK_SECONDS) : options.seconds
      const { problems } = await run(scenario, { ...options, seconds, fault })
      return { scenario: scenario.name, fault, problems }
    })
    proofs.push(...(await Promise.all(found)))
  }
  return proofs
}

/** The faults that `scenario` has to find; descriptors are counted where the system shows them. */
export function findable({ faults }: Scenario): readonly Fault[] {
  return possessionsOf(process.pid) === null ? faults.filter((fault) => fault !== 'descriptors') : faults
}
