// The suite: `npm run bench -- --help`.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { describeCommit, describeMachine } from './lib/machine.js'
import { resultsFolder } from './lib/paths.js'
import { Progress } from './lib/progress.js'
import type { Report, RowResult } from './lib/result.js'
import { measureRow, type Row, type Settings } from './lib/row.js'
import { formatRow } from './lib/table.js'
import { scenarios } from './scenarios/index.js'

const HELP = `npm run bench -- [options]

Measures Millrace and what else one could use, in turn on this machine.

  --quick             the rows that matter most, short: less than 90 s on a quiet machine
  --only NAME[,NAME]  only scenarios or rows of these names
  --rounds N          rounds of each contender, default 5
  --json FILE         write the results there; a complete run goes to bench/results/ anyway
  --list              scenarios and their rows
  --help              this text
`

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const rounds = Number(flags.rounds)
if (!Number.isInteger(rounds) || rounds < 1) fail(`--rounds must be a whole number from 1 on, not '${flags.rounds}'`)
const quick: Settings = { quick: true, rounds, warmupMs: 80, timedMs: 120 }
// It takes V8 about a second to compile the hot paths for good.
const settings: Settings = flags.quick ? quick : { quick: false, rounds, warmupMs: 1500, timedMs: 500 }
const only = flags.only?.split(',')
const chosen = scenarios.flatMap((scenario) =>
  scenario
    .rows(settings)
    .filter((row) => only?.some((name) => name === scenario.name || name === row.id) ?? true)
    .map((row) => ({ scenario, row })),
)

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))

if (flags.help) console.log(HELP)
else if (flags.list) list()
else if (chosen.length === 0) fail(`nothing is called '${flags.only}': see --list`)
else await run()

function list(): void {
  for (const scenario of scenarios) {
    console.log(`${scenario.name}: ${scenario.title}`)
    for (const row of scenario.rows(settings)) console.log(`  ${row.id.padEnd(28)} ${row.title}`)
  }
}

async function run(): Promise<void> {
  const started = performance.now()
  const rows: RowResult[] = []
  const report: Report = {
    date: new Date().toISOString(),
    ...describeCommit(),
    command: ['npm run bench', ...(process.argv.length > 2 ? ['--'] : []), ...process.argv.slice(2)].join(' '),
    rounds,
    machine: describeMachine(),
    rows,
  }
  const files = flags.json === undefined ? [] : [resolve(flags.json)]
  if (!flags.quick && only === undefined) files.push(join(resultsFolder, `${nameOf(report)}.json`))
  const progress = new Progress(chosen.length)
  for (const { scenario, row } of chosen) {
    rows.push(await measure(scenario.name, row, progress))
    console.log(`${formatRow(rows.at(-1)!)}\n`)
    // After each row: minutes of measurements must not hang on the last one.
    for (const file of files) write(file, report)
  }
  const targets = rows.flatMap((row) => row.targets)
  const missed = targets.filter(({ met }) => met === false).length
  const met = targets.filter(({ met: is }) => is === true).length
  const seconds = Math.round((performance.now() - started) / 1e3)
  console.log(`rows: ${rows.length}, in ${seconds} s; targets: ${met} met, ${missed} missed`)
  for (const file of files) console.log(`results: ${file}`)
  const failed = rows.flatMap((row) => row.contenders).some(({ skipped }) => skipped?.startsWith('FAILED'))
  if (failed) process.exitCode = 1
}

async function measure(scenario: string, row: Row, progress: Progress): Promise<RowResult> {
  progress.begin(row.title)
  const result = await measureRow(scenario, row, settings, (done, contender) =>
    progress.draw(`${row.title}: ${contender}`, done),
  )
  progress.end()
  return result
}

function nameOf({ date, commit, modified }: Report): string {
  return `${date.slice(0, 10)}-${commit}${modified ? '-modified' : ''}`
}

function write(file: string, report: Report): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`)
}

function fail(message: string): never {
  console.error(message)
  process.exit(2)
}
