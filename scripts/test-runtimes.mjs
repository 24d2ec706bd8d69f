// Tests other runtimes on Linux x64: `npm run test:runtimes [-- [--write] [--only WORD] NAME…]`, all of runtimes/list.mjs or those named, each
// with all specs but those that are left out there. Ends with the table of docs/install.md, and writes it there with `--write`: with those not
// named as their last whole run in this checkout left them, if there was one; each row names the commit that it is of. Build before; what is
// for musl needs `npm run build:all -- linux-x64-musl`, and musl itself with its libstdc++.
import { spawnSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { countTap, runCounted } from './counted.mjs'
import { builtAddon, fileOf, ROOT, targetsNamed } from './release/targets.mjs'
import { install } from './runtimes/install.mjs'
import { runtimesNamed } from './runtimes/list.mjs'
import { keep, kept, sectionOf, write } from './runtimes/table.mjs'
import { avaWithout } from './specs.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean' }, only: { type: 'string' } },
})
if (values.write && values.only !== undefined) throw new Error('the table is of all specs: --write goes without --only')

/** The number in what a runtime says of its version. */
function versionOf(path) {
  const { status, stdout, error } = spawnSync(path, ['--version'], { encoding: 'utf8' })
  const version = /\d+\.\d+\.\d+/.exec(stdout ?? '')?.[0]
  if (status === 0 && version !== undefined) return version
  throw new Error(`${path} does not start: ${error?.message ?? `status ${status}`}`)
}

/** What is tested, with a mark if it is not committed. */
function commitHere() {
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: ROOT, encoding: 'utf8' })
  if (status !== 0) throw new Error('the table names commits: this is no checkout')
  return stdout.trim()
}

const commit = commitHere()
const runtimes = runtimesNamed(positionals)
if (runtimes.some(({ libc }) => libc === 'musl')) {
  const [target] = targetsNamed(['linux-x64-musl'])
  copyFileSync(builtAddon(target), join(ROOT, 'native', fileOf(target)))
}
const paths = new Map(runtimes.map((runtime) => [runtime, install(runtime)]))
const others = runtimes.filter(({ title }) => title !== 'Deno').map((runtime) => paths.get(runtime))
const common = { ...process.env, MILLRACE_TEST_RUNTIMES: others.join(':') }
const results = []
for (const [runtime, path] of paths) {
  const { name, title, libc, flags, skipped } = runtime
  const version = versionOf(path)
  const env = { ...common, ...runtime.env }
  console.log(`\n${name}: ${path}, ${version}`)
  const args = [...flags, ...avaWithout(skipped, values.only)]
  const counted = await runCounted(name, { command: path, args, count: countTap, cwd: ROOT, env })
  const result = { title, version, libc, commit, skipped, counted }
  results.push(result)
  if (values.only === undefined) keep(name, result)
}
console.log(`\n${results.map(({ counted }) => counted.text).join('\n')}\n\n${sectionOf(results)}`)
if (values.write) write(sectionOf(runtimesNamed([]).flatMap(({ name }) => kept(name) ?? [])))
process.exitCode = results.every(({ counted }) => counted.failed === 0) ? 0 : 1
