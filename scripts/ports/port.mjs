// Tests of a port: the suites of Rust, the addon with the programs of the README and the demo, and the specs of Node.js.
//
// A port is { env, target, addon, node, folder, skipped, word }: what cargo's environment is, its arguments that choose the target, `built` and
// `name` of the addon, how a program of Node.js is run, where output goes, what is left out: `skipped.mjs` beside it, and what specs have in
// their names.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { countRust, countTap, runCounted } from '../counted.mjs'
import { ROOT } from '../release/targets.mjs'
import { avaWithout, kept } from '../specs.mjs'

function suitesOf(crate, folder, { SUITES }) {
  const files = readdirSync(join(ROOT, 'crates', folder, 'tests'), { withFileTypes: true })
  const names = files
    .filter((file) => file.isFile() || existsSync(join(file.parentPath, file.name, 'main.rs')))
    .map((file) => file.name.replace(/\.rs$/, ''))
    .filter((name) => name !== 'crash_matrix')
  return kept(names, SUITES, (name) => `${crate}/${name}`)
}

/** The library of a crate and its suites. */
function rust(port, crate, folder, features) {
  const { RUST_TESTS } = port.skipped
  for (const [name, why] of Object.entries(RUST_TESTS)) console.log(`${name} is left out: ${why}`)
  const chosen = ['--lib', ...suitesOf(crate, folder, port.skipped).flatMap((name) => ['--test', name])]
  const others = Object.keys(RUST_TESTS).flatMap((name) => ['--skip', name])
  const args = ['test', '--no-fail-fast', '-p', crate, ...features, ...port.target, ...chosen, '--', ...others]
  return cargo(port, folder, args)
}

function cargo({ env }, name, args) {
  return runCounted(name, { command: 'cargo', args, count: countRust, cwd: ROOT, env })
}

async function core(port) {
  const features = ['--features', 'fault-points']
  const matrix = ['test', '-p', 'millrace', ...features, ...port.target, '--test', 'crash_matrix', '--', '--short']
  return [await rust(port, 'millrace', 'core', features), await cargo(port, 'crash matrix', matrix)]
}

async function flow(port) {
  return [await rust(port, 'millrace-flow', 'flow', [])]
}

function one(name, problem) {
  const failed = problem === undefined ? 0 : 1
  const text = `${name}: ${problem ?? 'as it should'}`
  console.log(text)
  return { passed: 1 - failed, failed, skipped: 0, text }
}

function buildAddon({ env, target, addon }) {
  const options = { cwd: ROOT, env, stdio: 'inherit' }
  if (spawnSync('cargo', ['build', '-p', 'millrace-node', ...target], options).status !== 0)
    throw new Error('the addon does not build')
  copyFileSync(join(ROOT, 'target', ...target.slice(1), 'debug', addon.built), join(ROOT, 'native', addon.name))
}

/** What a program of Node.js says, and how it ends. */
async function runNode({ node, env }, args) {
  const [command, ...all] = node(args)
  const program = spawn(command, all, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const [said, [code]] = await Promise.all([textOf(program.stdout), once(program, 'close')])
  return { code, said: said.trim() }
}

/** The two programs of the README, as two processes. */
async function readme(port) {
  const blocks = readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/```js\n(\/\/ (\w+\.mjs)[^]*?)```/g)
  const running = Array.from(blocks, ([, code, name]) => {
    const file = join(port.folder, name)
    writeFileSync(file, code)
    return runNode(port, [file])
  })
  const results = await Promise.all(running)
  const isRight = results.length === 2 && results.every(({ code }) => code === 0) && results[1].said === '124716'
  return one('README', isRight ? undefined : JSON.stringify(results))
}

async function demo(port) {
  const { code, said } = await runNode(port, [join('dist', 'demo', 'main.js')])
  console.log(said)
  return one('demo', code === 0 ? undefined : `ended with code ${code}`)
}

async function programs(port) {
  buildAddon(port)
  return [await readme(port), await demo(port)]
}

async function specs(port) {
  buildAddon(port)
  const [command, ...args] = port.node(avaWithout(port.skipped, port.word))
  return [await runCounted('node', { command, args, count: countTap, cwd: ROOT, env: port.env })]
}

export const PARTS = { core, flow, addon: programs, node: specs }

/** Runs the parts named and ends with `N passed, N failed, N skipped`: tests that are left out one by one, not whole suites. */
export async function testPort(port, named) {
  const unknown = named.find((part) => !Object.hasOwn(PARTS, part))
  if (unknown !== undefined) throw new Error(`there is no part ${unknown}, only ${Object.keys(PARTS).join(', ')}`)
  const results = []
  for (const part of named) results.push(...(await PARTS[part](port)))
  const sum = (key) => results.reduce((total, result) => total + result[key], 0)
  for (const { text } of results) console.log(text)
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`)
  process.exitCode = sum('failed') === 0 && results.length > 0 ? 0 : 1
}
