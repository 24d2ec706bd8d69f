// Tests what differs between runtimes, on those that are named: `npm run test:runtimes -- path/to/node path/to/bun`. Build before.
import { spawnSync } from 'node:child_process'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
const specs = (...names) => names.map((name) => join(root, 'dist', '__test__', `${name}.spec.js`))
const version = (runtime) => spawnSync(runtime, ['--version'], { encoding: 'utf8' }).stdout ?? ''
const isNode = (runtime) => /^v\d/.test(version(runtime))

const runtimes = process.argv.slice(2).map((path) => resolve(path))
if (runtimes.length === 0) {
  console.error('usage: npm run test:runtimes -- <path of a runtime>…')
  process.exit(1)
}
const nodes = runtimes.filter(isNode)
const env = {
  ...process.env,
  MILLRACE_TEST_NODES: nodes.join(':'),
  MILLRACE_TEST_RUNTIMES: runtimes.filter((runtime) => !isNode(runtime)).join(':'),
}
const run = (node, tests, environment) =>
  spawnSync(node, [ava, ...tests], { cwd: root, env: environment, stdio: 'inherit' }).status === 0
let passed = run(process.execPath, specs('process/runtimes', 'codec/structured'), env)
for (const node of nodes) {
  console.log(`${node}: ${version(node).trim()}`)
  const tests = specs('process/runtimes', 'memory/web', 'session/lifetime', 'session/segments', 'session/guard')
  passed = run(node, tests, { ...env, MILLRACE_TEST_RUNTIMES: '' }) && passed
}
process.exit(passed ? 0 : 1)
