// Makes a checkout runnable: builds the native addon unless one that fits is already there, and always the TypeScript.
// npm runs this after `npm ci` and before `npm test`; registry installs never see it.
import { execSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const native = join(root, 'native')

/** Path of the addon that the loader picks on this machine, or undefined when none loads. */
function findAddon() {
  // In a child: a loaded addon cannot be replaced on Windows, and a broken one must not take this script down.
  const script = `require('./binding.cjs'); Object.keys(require.cache).find((file) => file.endsWith('.node'))`
  const { status, stdout } = spawnSync(process.execPath, ['-p', script], { cwd: native, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

/** Time of the last change to anything the addon is built from. */
function sourcesChangedMs() {
  const crates = readdirSync(join(root, 'crates'), { recursive: true }).map((file) => join('crates', file))
  const sources = crates.filter((file) => /\.(rs|toml)$/.test(file))
  const workspace = ['Cargo.toml', 'Cargo.lock'].filter((file) => existsSync(join(root, file)))
  return Math.max(...[...sources, ...workspace].map((file) => statSync(join(root, file)).mtimeMs))
}

/** Why the addon has to be built, or undefined when the one found will do. */
function reasonToBuild() {
  const addon = existsSync(native) ? findAddon() : undefined
  if (addon === undefined) return `no prebuilt addon loads on ${process.platform}-${process.arch}`
  // Only what was built here can lag behind the sources; a platform package is bound to its version.
  if (dirname(addon) === native && statSync(addon).mtimeMs < sourcesChangedMs()) return 'the Rust sources changed'
  return undefined
}

function run(script) {
  try {
    execSync(`npm run --silent ${script}`, { cwd: root, stdio: 'inherit' })
  } catch (error) {
    process.exit(error.status ?? 1)
  }
}

if (process.env.MILLRACE_SKIP_BUILD === '1') {
  console.log('millrace: build skipped, MILLRACE_SKIP_BUILD=1')
  process.exit(0)
}

const reason = reasonToBuild()
if (reason !== undefined) {
  if (spawnSync('cargo', ['--version']).status !== 0) {
    console.error(
      `millrace: ${reason}, and building the addon needs Rust, but \`cargo\` was not found on PATH.\n` +
        'Install Rust from https://rustup.rs and run this again (MILLRACE_SKIP_BUILD=1 skips the build).',
    )
    process.exit(1)
  }
  console.log(`millrace: ${reason}: building it`)
  run('build:native')
}
run('build:ts')
