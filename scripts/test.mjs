// Builds what is stale, runs the Rust and the Node suites, streams their output and ends with one line:
// `N passed, N failed`.
import { spawn, spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Results of a Rust test binary: one line each. */
function countRust(line) {
  const result = /^test result: \S+ (\d+) passed; (\d+) failed;/.exec(line)
  return result === null ? [0, 0] : [Number(result[1]), Number(result[2])]
}

/** TAP, one line a test. The totals at the end of AVA's report leave failed hooks out, so the lines are counted. */
function countTap(line) {
  const result = /^(not )?ok \d+ (?!.*# (?:SKIP|TODO))/.exec(line)
  if (result === null) return [0, 0]
  return result[1] === undefined ? [1, 0] : [0, 1]
}

const suites = [
  {
    name: 'rust',
    command: 'cargo',
    args: ['test', '--workspace', '--no-fail-fast'],
    count: countRust,
  },
  {
    // The short form of the crash matrix: every fault point once.
    name: 'crash',
    command: 'npm',
    args: ['run', '--silent', 'crash', '--', '--short'],
    count: countRust,
  },
  {
    // What needs fault points besides: processes stopped inside operations.
    name: 'stopped',
    command: 'npm',
    args: ['run', '--silent', 'stopped'],
    count: countRust,
  },
  {
    // The models of what is shared: each order of steps of a few threads.
    name: 'models',
    command: 'npm',
    args: ['run', '--silent', 'loom'],
    count: countRust,
  },
  {
    name: 'node',
    command: process.execPath,
    args: [join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs'), '--tap'],
    count: countTap,
  },
  {
    // What carries messages, where the runtime has no external ArrayBuffers.
    name: 'copies',
    command: 'npm',
    args: ['run', '--silent', 'test:copies', '--', '--tap'],
    count: countTap,
  },
]

/** How long a suite's output may stay open after its end: longer means that a process it started still lives. */
const LEFTOVER_MS = 5000

/** Runs one suite to its end. One that crashed, left a process behind or ran no test counts as a failure. */
async function run({ name, command, args, count }) {
  const started = performance.now()
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const problems = []
  child.once('error', (error) => problems.push(error.message))
  child.once('exit', (code, signal) => {
    if (code !== 0) problems.push(`ended with ${signal ?? `code ${code}`}`)
    const leftover = setTimeout(() => {
      problems.push('left a process behind that holds its output open')
      lines.close()
      child.stdout.destroy()
    }, LEFTOVER_MS)
    child.once('close', () => clearTimeout(leftover))
  })
  const closed = new Promise((resolve) => child.once('close', resolve))
  let passed = 0
  let failed = 0
  for await (const line of lines) {
    console.log(line)
    const [more, lost] = count(line)
    passed += more
    failed += lost
  }
  await closed
  if (passed + failed === 0) problems.push('ran no test')
  if (problems.length > 0) failed = Math.max(failed, 1)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const text = [`${name}: ${passed} passed, ${failed} failed in ${seconds} s`, ...problems].join(', ')
  return { passed, failed, text }
}

const built = spawnSync(process.execPath, [join(root, 'scripts', 'prepare.mjs')], { stdio: 'inherit' }).status === 0
const results = built ? [] : [{ passed: 0, failed: 1, text: 'build: failed, no test was run' }]
if (built) for (const suite of suites) results.push(await run(suite))

const passed = results.reduce((sum, result) => sum + result.passed, 0)
const failed = results.reduce((sum, result) => sum + result.failed, 0)
console.log(['', ...results.map((result) => result.text), `${passed} passed, ${failed} failed`].join('\n'))
process.exitCode = failed === 0 ? 0 : 1
