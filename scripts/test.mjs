// Builds what is stale, runs the Rust and the Node suites, streams their output and ends with one line:
// `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { countRust, countTap, runCounted } from './counted.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

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

const built = spawnSync(process.execPath, [join(root, 'scripts', 'prepare.mjs')], { stdio: 'inherit' }).status === 0
const results = built ? [] : [{ passed: 0, failed: 1, text: 'build: failed, no test was run' }]
if (built) for (const suite of suites) results.push(await runCounted(suite.name, { ...suite, cwd: root }))

const passed = results.reduce((sum, result) => sum + result.passed, 0)
const failed = results.reduce((sum, result) => sum + result.failed, 0)
console.log(['', ...results.map((result) => result.text), `${passed} passed, ${failed} failed`].join('\n'))
process.exitCode = failed === 0 ? 0 : 1
