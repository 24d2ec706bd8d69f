// Installs Millrace as its users do: `npm run test:install -- [--short] [WORD…]`, those cases whose name has one of the
// words; the short form takes the npm that there is, and installs no tools. Build before.
// Packs what is published, serves it from a registry on the loopback interface, and has each package manager install it into a new project
// with an empty home and no Rust on PATH. Ends with one line, `N passed, N failed`.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { MANIFEST, manifestOf } from '../release/manifests.mjs'
import { packMain, packPlatform } from '../release/stage.mjs'
import { builtAddon, fileOf, ROOT, TARGETS } from '../release/targets.mjs'
import { cases, shortCases } from './cases.mjs'
import { startRegistry } from './registry.mjs'

/**
 * Packs `millrace` and all its platforms with the addons of `npm run build:all`. Where there is none, that of this checkout is taken, and for platforms
 * that do not run here an empty file: package managers ask for all packages, and install the one that fits.
 */
function packAll(stage, packages) {
  packMain(stage, packages)
  const empty = join(stage, 'empty.node')
  writeFileSync(empty, '')
  const absent = []
  for (const target of TARGETS) {
    const addon = [builtAddon(target), ownAddon(target)].find((file) => existsSync(file))
    if (addon === undefined) absent.push(target.platform)
    packPlatform(target, addon ?? empty, stage, packages)
  }
  if (absent.length > 0) console.log(`not built, so empty: ${absent.join(', ')}`)
}

/** Packs `millrace` and the platforms that this checkout has addons for. */
function packOwn(stage, packages) {
  packMain(stage, packages)
  for (const target of TARGETS.filter((one) => existsSync(ownAddon(one)))) {
    packPlatform(target, ownAddon(target), stage, packages)
  }
}

function ownAddon(target) {
  return join(ROOT, 'native', fileOf(target))
}

function installTools() {
  if (existsSync(join(import.meta.dirname, 'node_modules'))) return
  const args = [
    'ci',
    '--prefix',
    import.meta.dirname,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel',
    'error',
  ]
  if (spawnSync('npm', args, { stdio: 'inherit' }).status !== 0)
    throw new Error('the package managers could not be installed')
}

async function runCase({ name, reason, run }, context) {
  if (reason !== undefined) return { line: `skipped  ${name}: ${reason}` }
  const started = performance.now()
  try {
    await run(context)
    return { passed: 1, line: `ok       ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)` }
  } catch (error) {
    return { failed: 1, line: `not ok   ${name}: ${error.message}` }
  }
}

const { values, positionals: words } = parseArgs({ options: { short: { type: 'boolean' } }, allowPositionals: true })
if (!values.short) installTools()
const work = mkdtempSync(join(tmpdir(), 'millrace-install-'))
const totals = { passed: 0, failed: 0 }
try {
  const [stage, packages] = ['stage', 'packages'].map((name) => join(work, name))
  for (const folder of [stage, packages]) mkdirSync(folder)
  const pack = values.short ? packOwn : packAll
  pack(stage, packages)
  const registry = await startRegistry([MANIFEST, ...TARGETS.map(manifestOf)], packages)
  const all = values.short ? shortCases() : cases()
  const chosen = all.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))
  for (const one of chosen) {
    const { passed = 0, failed = 0, line } = await runCase(one, { work, packages, registry: registry.url })
    totals.passed += passed
    totals.failed += failed
    console.log(line)
  }
  registry.close()
} finally {
  rmSync(work, { recursive: true })
}
console.log(`${totals.passed} passed, ${totals.failed} failed`)
process.exitCode = totals.failed === 0 && totals.passed > 0 ? 0 : 1
