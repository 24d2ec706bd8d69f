import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { latencyOf } from '../../bench/lib/numbers.js'
import type { Latency } from '../../bench/lib/result.js'
import type { Scenario } from '../scenarios.js'
import type { Fault } from './jobs.js'
import type { Result } from './result.js'
import { Stage } from './stage.js'
import { boundsOf, growing } from './watch.js'

/** How scenarios are run. */
export interface RunOptions {
  readonly seconds: number
  /** Default: those of the scenario. */
  readonly processes?: number | undefined
  readonly seed: number
  /** Ends the time of a scenario. */
  readonly signal: AbortSignal
  readonly fault?: Fault
}

/** Runs a scenario in a domain and a directory of its own. */
export async function run(
  scenario: Scenario,
  { seconds, processes, seed, signal, fault }: RunOptions,
): Promise<Omit<Result, 'baseline'>> {
  const { name, title, threads, maxBytes } = scenario
  const count = processes ?? scenario.processes
  const directory = mkdtempSync(join(tmpdir(), 'millrace-stress-'))
  try {
    const stage = new Stage({
      directory,
      seconds,
      processes: count,
      seed,
      signal,
      ...(threads !== undefined && { threads }),
      ...(maxBytes !== undefined && { maxBytes }),
      ...(fault !== undefined && { fault }),
    })
    await scenario.run(stage).catch((error: Error) => stage.problems.push(error.stack ?? error.message))
    const participants = await stage.end()
    stage.expect(stage.messages > 0, 'no message came')
    const { growth, samples } = stage.watch
    const problems = [
      ...stage.problems,
      ...(growth === null ? [] : growing(growth, boundsOf(count, threads === true ? count : 1))),
    ]
    const { messages, took } = stage
    const latency = latencyIn(stage.latencies)
    const perSecond = messages / took
    return {
      scenario: name,
      title,
      processes: count,
      seconds: took,
      messages,
      perSecond,
      latency,
      samples,
      growth,
      participants,
      problems,
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function latencyIn(samples: readonly Float64Array[]): Omit<Latency, 'buckets'> | null {
  const all = samples.flatMap((some) => [...some])
  if (all.length === 0) return null
  const { buckets: _, ...latency } = latencyOf(Float64Array.from(all))
  return latency
}
