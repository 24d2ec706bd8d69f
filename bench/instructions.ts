// `npm run bench:instructions`: how many instructions the core's operations take, compared with what is recorded. Needs no
// quiet machine: instructions are the same whatever else runs. `-- --update` records.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ShmManager } from '../index.js'
import { benchFolder } from './lib/paths.js'
import { harness } from './lib/rust.js'

/** What is recorded, by operation: instructions for one message. */
type Counts = Record<string, number>

const OPERATIONS = ['allocate', 'send', 'receive', 'release']
const BATCHES = [1, 64]
/** Enough that what happens once does not show, in one lap of the ring. */
const COUNT = 2048
/** Compilers differ a little; a change of the code that matters shows more. */
const TOLERANCE = 1.1

const { values: flags } = parseArgs({ options: { update: { type: 'boolean', default: false } } })
const recordFile = join(benchFolder, 'instructions.json')

const reason = reasonToSkip()
if (reason === undefined) run()
else console.log(`skipped: ${reason}`)

function reasonToSkip(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'counts are recorded for Linux on x64'
  if (spawnSync('valgrind', ['--version']).status !== 0) return 'valgrind is not installed'
  if (!existsSync(harness)) return 'bench/rust is not built, which needs cargo'
  return undefined
}

function run(): void {
  const recorded = JSON.parse(readFileSync(recordFile, 'utf8')) as Counts
  const counts: Counts = {}
  let isWorse = false
  for (const batch of BATCHES) {
    for (const operation of OPERATIONS) {
      const name = batch === 1 ? operation : `${operation}, ${batch} to a call`
      const count = instructionsOf(operation, batch)
      const before = recorded[name]
      const worse = before !== undefined && count > before * TOLERANCE
      counts[name] = count
      isWorse ||= worse
      const change = before === undefined ? 'not recorded' : `${((count / before - 1) * 100).toFixed(1)} %`
      console.log(
        `${name.padEnd(24)} ${String(count).padStart(6)}  recorded ${before ?? '-'}  ${change}${worse ? '  WORSE' : ''}`,
      )
    }
  }
  if (flags.update) {
    writeFileSync(recordFile, `${JSON.stringify(counts, null, 2)}\n`)
    console.log(`recorded in ${recordFile}`)
  } else if (isWorse) {
    console.error(
      `more than ${Math.round((TOLERANCE - 1) * 100)} % above what is recorded; meant to be? npm run bench:instructions -- --update`,
    )
    process.exitCode = 1
  }
}

/** Instructions of one operation: the difference between none and many of it. */
function instructionsOf(operation: string, batch: number): number {
  return Math.round((total(operation, batch, COUNT) - total(operation, batch, 0)) / COUNT)
}

/** Instructions of the whole program, in a domain of its own, which it leaves behind. */
function total(operation: string, batch: number, count: number): number {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-instructions-'))
  const tool = ['--tool=cachegrind', '--cache-sim=no', '--cachegrind-out-file=/dev/null']
  const program = [harness, 'instructions', operation, String(batch), String(count), directory]
  const { status, stderr } = spawnSync('valgrind', [...tool, ...program], { encoding: 'utf8' })
  // Whoever finds nobody alive in a domain takes it over, and the last one out removes it.
  ShmManager.open('bench', { directory }).close()
  rmSync(directory, { recursive: true, force: true })
  const found = /I\s+refs:\s+([\d,]+)/.exec(stderr)
  if (status !== 0 || found === null) throw new Error(`valgrind ended with ${status}:\n${stderr}`)
  return Number(found[1]!.replaceAll(',', ''))
}
