// `npm run bench`, `bench:instructions`: makes what a program of the suite needs, then runs it. Nothing of this is installed or
// built with the package itself.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const bench = dirname(fileURLToPath(import.meta.url))
const root = join(bench, '..')
const [program, ...args] = process.argv.slice(2)

/** Runs a command with its output on stderr: stdout is for the table. Answers whether it went well. */
function run(command, ...commandArgs) {
  return runIn(root, command, ...commandArgs)
}

function runIn(cwd, command, ...commandArgs) {
  return spawnSync(command, commandArgs, { cwd, stdio: ['ignore', process.stderr, 'inherit'] }).status === 0
}

/** Whether the peers of the lock file are what is installed. */
function peersAreFresh() {
  const installed = join(bench, 'node_modules', '.package-lock.json')
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(bench, 'package-lock.json')).mtimeMs
}

if (!args.includes('--help')) {
  if (!run(process.execPath, join(root, 'scripts', 'prepare.mjs'))) process.exit(1)
  // What is absent is skipped, row by row, with a word.
  const npm = ['ci', '--prefix', 'bench', '--no-audit', '--no-fund', '--loglevel', 'error']
  const needsPeers = program === 'main' && !peersAreFresh()
  if (needsPeers && !run('npm', ...npm)) console.error('bench: the peers from npm could not be installed')
  const cargo = ['build', '--quiet', '--release', '--manifest-path', 'bench/rust/Cargo.toml']
  if (!run('cargo', ...cargo)) console.error('bench: bench/rust could not be built')
  // Takes minutes, and a compiler of its own, which cargo finds from that folder.
  const futureSdr = ['build', '--quiet', '--release']
  if (program === 'main' && !args.includes('--quick') && !runIn(join(bench, 'futuresdr'), 'cargo', ...futureSdr))
    console.error('bench: bench/futuresdr could not be built')
}
const { status } = spawnSync(process.execPath, [join(root, 'dist', 'bench', `${program}.js`), ...args], {
  cwd: root,
  stdio: 'inherit',
})
process.exitCode = status ?? 1
