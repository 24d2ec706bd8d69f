// The stress suite: `npm run stress -- --help`. Build first. Ends with status 1 if anything is not as it must be.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { describeCommit, describeMachine } from '../bench/lib/machine.js'
import { root } from '../bench/lib/paths.js'
import { Progress } from '../bench/lib/progress.js'
import { count as countOf, UsageError } from '../cli/command.js'
import { interrupted } from '../cli/interrupted.js'
import { type Column, table } from '../cli/table.js'
import { bytes, short } from '../cli/units.js'
import { compare, incomparable, readBaseline, slower, writeBaseline } from './lib/baseline.js'
import { pageOf } from './lib/page.js'
import { prove } from './lib/prove.js'
import type { Report, Result } from './lib/result.js'
import { run, type RunOptions } from './lib/run.js'
import { type Scenario, SCENARIOS } from './scenarios.js'

const HELP = `npm run stress -- [scenario…] [options]

Runs scenarios with real processes and counts everything exactly. Default: all, for 10 seconds each.

  --seconds N     time of each scenario
  --processes N   participants, instead of as many as the scenario has
  --seed N        of what is random
  --json          the results as JSON on stdout
  --report FILE   the page with charts; beside it the results as JSON; default: stress/results/<date>-<commit>.html
  --baseline FILE figures to compare with; default: stress/baseline.json
  --update        keep the figures of this run as the baseline
  --prove         make participants go wrong instead, in every way that the scenario has to find
  --list          the scenarios
  --help          this text
`

const LISTED: readonly Column<Scenario>[] = [
  ['scenario', ({ name }) => name],
  ['processes', ({ processes }) => processes],
  ['what', ({ title }) => title],
]

const COLUMNS: readonly Column<Result>[] = [
  ['scenario', ({ scenario }) => scenario],
  ['processes', ({ processes }) => processes],
  ['messages', ({ messages }) => messages],
  ['a second', ({ perSecond }) => Math.round(perSecond)],
  ['p50', ({ latency }) => latency && `${short(latency.p50)} µs`],
  ['p99', ({ latency }) => latency && `${short(latency.p99)} µs`],
  ['RSS grew', ({ growth }) => growth && bytes(growth.rssBytes)],
  ['descriptors', ({ growth }) => growth && short(growth.descriptors)],
  ['baseline', ({ baseline }) => baseline && `${Math.round(baseline.perSecond * 100)} %`],
  ['problems', ({ problems }) => problems.length],
]

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '10' },
    processes: { type: 'string' },
    seed: { type: 'string', default: `${(Date.now() % 1e6) + 1}` },
    json: { type: 'boolean', default: false },
    report: { type: 'string' },
    baseline: { type: 'string', default: join(root, 'stress', 'baseline.json') },
    update: { type: 'boolean', default: false },
    prove: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

try {
  if (flags.help) console.log(HELP)
  else if (flags.list) console.log(table(SCENARIOS, LISTED).join('\n'))
  else process.exitCode = (await (flags.prove ? proveAll() : runAll())) ? 0 : 1
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(error.message)
  process.exitCode = 2
}

function chosen(): RunOptions & { scenarios: readonly Scenario[] } {
  const scenarios = positionals.length === 0 ? SCENARIOS : positionals.map(named)
  const processes = countOf('processes', flags.processes)
  for (const { name, least } of scenarios) {
    if (processes === undefined || processes >= least) continue
    throw new UsageError(`scenario ${name} needs ${least} processes, not ${processes}`)
  }
  return {
    scenarios,
    seconds: countOf('seconds', flags.seconds)!,
    processes,
    seed: countOf('seed', flags.seed)!,
    signal: interrupted(),
  }
}

function named(name: string): Scenario {
  const scenario = SCENARIOS.find((each) => each.name === name)
  if (scenario !== undefined) return scenario
  throw new UsageError(
    `no scenario is called ${JSON.stringify(name)}: ${SCENARIOS.map((each) => each.name).join(', ')}`,
  )
}

/** Runs what was chosen, until it is interrupted; whether all was well. */
async function runAll(): Promise<boolean> {
  const { scenarios, ...options } = chosen()
  const about = {
    date: new Date().toISOString(),
    ...describeCommit(),
    command: ['npm run stress --', ...process.argv.slice(2)].join(' '),
    machine: describeMachine(),
  }
  const baseline = readBaseline(flags.baseline)
  const why = incomparable(baseline, about.machine)
  const results: Result[] = []
  const progress = new Progress(scenarios.length)
  for (const scenario of scenarios) {
    if (options.signal.aborted) break
    progress.begin(scenario.title)
    const result = await run(scenario, options)
    const comparison = why === null ? compare(baseline!, result) : null
    const problems = [...result.problems, ...(comparison === null ? [] : slower(comparison))]
    results.push({ ...result, baseline: comparison, problems })
    progress.end()
  }
  const report: Report = { ...about, results }
  const page = resolve(
    flags.report ?? join(root, 'stress', 'results', `${about.date.slice(0, 10)}-${about.commit}.html`),
  )
  mkdirSync(dirname(page), { recursive: true })
  writeFileSync(page, pageOf(report))
  writeFileSync(page.replace(/(\.html)?$/, '.json'), `${JSON.stringify(report, undefined, 1)}\n`)
  if (flags.update) writeBaseline(flags.baseline, report)
  tell(report, page, why)
  return results.every(({ problems }) => problems.length === 0)
}

function tell(report: Report, page: string, why: string | null): void {
  const { results } = report
  if (flags.json) return console.log(JSON.stringify(report))
  console.log(table(results, COLUMNS).join('\n'))
  for (const { scenario, problems } of results) for (const problem of problems) console.log(`${scenario}: ${problem}`)
  if (why !== null) console.log(`not compared with a baseline: ${why}`)
  const failed = results.filter(({ problems }) => problems.length > 0).length
  console.log(`${results.length} scenarios, ${failed} with problems; report: ${page}`)
}

/** Has participants go wrong; whether everything was found. */
async function proveAll(): Promise<boolean> {
  const { scenarios, ...options } = chosen()
  const proofs = await prove(scenarios, options)
  if (flags.json) console.log(JSON.stringify(proofs))
  else
    console.log(
      table(proofs, [
        ['scenario', (one) => one.scenario],
        ['fault', (one) => one.fault],
        ['found as', (one) => one.problems[0]?.split('\n')[0] ?? 'NOT FOUND'],
      ]).join('\n'),
    )
  const missed = proofs.filter(({ problems }) => problems.length === 0).length
  if (!flags.json) console.log(`${proofs.length} faults, ${missed} not found`)
  return missed === 0
}
