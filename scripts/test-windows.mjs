// Tests the port to Windows: `npm run test:windows [-- core flow addon node]`. On Windows, with its own Rust and Node.js; elsewhere in wine,
// see windows/wine.mjs for what that needs. What is left out, and why: windows/skipped.mjs. Build the TypeScript before.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { mingwEnvironment } from './release/mingw.mjs'
import { ROOT } from './release/targets.mjs'
import { SPECS, SUITES, TESTS } from './windows/skipped.mjs'
import * as wine from './windows/wine.mjs'

const isHere = process.platform === 'win32'
const node = isHere ? process.execPath : wine.prepare()
const OUTPUT = join(ROOT, 'target', 'windows')
mkdirSync(OUTPUT, { recursive: true })
const env = isHere ? process.env : { ...wine.env, ...mingwEnvironment(join(OUTPUT, 'lib')) }
const target = isHere ? [] : ['--target', wine.TRIPLE]

/** Runs a command that shows what it does; whether it succeeded. */
function succeeds(command, args) {
  return spawnSync(command, args, { cwd: ROOT, env, stdio: 'inherit' }).status === 0
}

/** Runs a program of Node.js; its exit code and what it says. In wine that goes through a file: Node.js takes no pipe from outside there. */
async function runNode(name, args) {
  const file = join(OUTPUT, `${name}.log`)
  const output = openSync(file, 'w')
  const [command, all] = isHere ? [node, args] : ['wine', [node, ...args]]
  const program = spawn(command, all, { cwd: ROOT, env, stdio: ['ignore', output, output] })
  const [code] = await once(program, 'close')
  closeSync(output)
  return { code, said: readFileSync(file, 'utf8') }
}

/** As {@link runNode}, shown; whether it succeeded. */
async function nodeSucceeds(name, args) {
  const { code, said } = await runNode(name, args)
  console.log(said)
  return code === 0
}

function suitesOf(crate, folder) {
  const files = readdirSync(join(ROOT, 'crates', folder, 'tests'), { withFileTypes: true })
  const names = files
    .filter((file) => file.isFile() || existsSync(join(file.parentPath, file.name, 'main.rs')))
    .map((file) => file.name.replace(/\.rs$/, ''))
  return names.filter((name) => {
    const why = SUITES[`${crate}/${name}`]
    if (why !== undefined) console.log(`${crate}/${name} is left out: ${why}`)
    return why === undefined
  })
}

/** The library of a crate and its suites. */
function rust(crate, folder, features) {
  const suites = suitesOf(crate, folder).filter((name) => name !== 'crash_matrix')
  const chosen = ['--lib', ...suites.flatMap((name) => ['--test', name])]
  return succeeds('cargo', ['test', '--no-fail-fast', '-p', crate, ...features, ...target, ...chosen])
}

function core() {
  const features = ['--features', 'fault-points']
  const matrix = ['test', '-p', 'millrace', ...features, ...target, '--test', 'crash_matrix', '--', '--short']
  const passed = rust('millrace', 'core', features)
  return succeeds('cargo', matrix) && passed
}

function buildAddon() {
  if (!succeeds('cargo', ['build', '-p', 'millrace-node', ...target])) return false
  const built = join(ROOT, 'target', ...target.slice(1), 'debug', 'millrace_node.dll')
  copyFileSync(built, join(ROOT, 'native', `millrace.win32-x64-${isHere ? 'msvc' : 'gnu'}.node`))
  return true
}

/** The two programs of the README, as two processes. */
async function readme() {
  const blocks = readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/```js\n(\/\/ (\w+\.mjs)[^]*?)```/g)
  const programs = Array.from(blocks, ([, code, name]) => {
    const file = join(OUTPUT, name)
    writeFileSync(file, code)
    return runNode(name, [file])
  })
  const results = await Promise.all(programs)
  const passed = results.length === 2 && results.every(({ code }) => code === 0) && results[1].said.trim() === '124716'
  console.log(`README: ${passed ? 'ok' : JSON.stringify(results)}`)
  return passed
}

async function addon() {
  return buildAddon() && (await readme()) && (await nodeSucceeds('demo', [join('dist', 'demo', 'main.js')]))
}

async function specs() {
  if (!buildAddon()) return false
  const folder = join(ROOT, 'dist', '__test__')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const all = files.filter((file) => file.endsWith('.spec.js'))
  const chosen = all.filter((file) => {
    const why = SPECS[file.replaceAll('\\', '/').replace(/\.spec\.js$/, '')]
    if (why !== undefined) console.log(`${file} is left out: ${why}`)
    return why === undefined
  })
  const ava = join('node_modules', 'ava', 'entrypoints', 'cli.mjs')
  for (const [title, why] of Object.entries(TESTS)) console.log(`"${title}" is left out: ${why}`)
  const others = Object.keys(TESTS).flatMap((title) => ['--match', `!*${title}*`])
  return nodeSucceeds('ava', [ava, ...others, ...chosen.map((file) => join('dist', '__test__', file))])
}

const PARTS = { core, flow: () => rust('millrace-flow', 'flow', []), addon, node: specs }
const named = process.argv.slice(2)
const unknown = named.find((part) => !Object.hasOwn(PARTS, part))
if (unknown !== undefined) throw new Error(`there is no part ${unknown}, only ${Object.keys(PARTS).join(', ')}`)
const results = []
try {
  for (const part of named.length === 0 ? Object.keys(PARTS) : named) results.push([part, await PARTS[part]()])
} finally {
  if (!isHere) wine.end()
}
for (const [part, passed] of results) console.log(`${part.padEnd(8)}${passed ? 'passed' : 'failed'}`)
process.exitCode = results.every(([, passed]) => passed) ? 0 : 1
