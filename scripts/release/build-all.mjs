// Builds the addons of all platforms, or of those named: `npm run build:all -- [PLATFORM…]`. Tells of each how large it is, or why it was
// not built. Ends with status 1 if one that was tried, or named, is missing, too large, or asks for more of a system than it may.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { faultOf } from './inspect.mjs'
import { COMPILER, mingwEnvironment, strip } from './mingw.mjs'
import { outputOf } from './output.mjs'
import { BUILD_DIR, builtAddon, GLIBC, MACOS, ROOT, targetsNamed } from './targets.mjs'

const BUILD = ['--locked', '--release', '-p', 'millrace-node', '--lib', '--target-dir', BUILD_DIR]
/** What cargo calls the addon. */
const LIBRARIES = { darwin: 'libmillrace_node.dylib', linux: 'libmillrace_node.so', win32: 'millrace_node.dll' }
/** In the stubs, what Rust's linker does not know yet. */
const NEWER_ARCHITECTURE = /,\s*arm64e\.\w+-\w+/g

const names = process.argv.slice(2)

const sysroot = outputOf('rustc', '--print', 'sysroot')
const host = /^host: (.*)$/m.exec(outputOf('rustc', '-vV') ?? '')?.[1]
const sdk =
  process.platform === 'darwin' ? undefined : outputOf('python3', '-c', 'import ziglang; print(ziglang.__path__[0])')

/** How a target is built here: the arguments of cargo and what is added to the environment; or why it is not. */
function recipeOf({ triple, os, libc }) {
  if (sysroot === undefined) return { missing: 'Rust was not found: install it from https://rustup.rs' }
  if (!existsSync(join(sysroot, 'lib', 'rustlib', triple)))
    return { missing: `no such target of Rust: rustup target add ${triple}` }
  if (os === 'linux') {
    if (outputOf('cargo-zigbuild', '--version') === undefined) {
      return { missing: 'cargo-zigbuild was not found on PATH: pip install cargo-zigbuild ziglang' }
    }
    return { args: ['zigbuild', '--target', libc === 'glibc' ? `${triple}.${GLIBC}` : triple], env: {} }
  }
  if (os === 'win32') {
    if (outputOf(COMPILER, '--version') === undefined)
      return { missing: `${COMPILER} was not found: on Debian, apt install gcc-mingw-w64-x86-64` }
    return { args: ['build', '--target', triple], env: mingwEnvironment(join(BUILD_DIR, 'windows')) }
  }
  if (process.platform === 'darwin')
    return { args: ['build', '--target', triple], env: { MACOSX_DEPLOYMENT_TARGET: MACOS } }
  if (sdk === undefined)
    return { missing: "needs macOS, or the stubs of its libraries that ziglang's wheel has: pip install ziglang" }
  return { args: ['build', '--target', triple], env: crossDarwin(triple) }
}

/** Linking for macOS elsewhere: Rust's own linker, and Zig's stub of the system's library, which stands for all that std names. */
function crossDarwin(triple) {
  const linker = join(ROOT, 'scripts', 'release', 'ld64.sh')
  const stubs = join(BUILD_DIR, 'macos')
  mkdirSync(join(stubs, 'usr', 'lib'), { recursive: true })
  const stub = readFileSync(join(sdk, 'lib', 'libc', 'darwin', 'libSystem.tbd'), 'utf8').replace(NEWER_ARCHITECTURE, '')
  for (const library of ['System', 'c', 'm', 'iconv'])
    writeFileSync(join(stubs, 'usr', 'lib', `lib${library}.tbd`), stub)
  const variable = `CARGO_TARGET_${triple.toUpperCase().replaceAll('-', '_')}`
  return {
    [`${variable}_LINKER`]: linker,
    MACOSX_DEPLOYMENT_TARGET: MACOS,
    SDKROOT: stubs,
    LD64: join(sysroot, 'lib', 'rustlib', host, 'bin', 'gcc-ld', 'ld64.lld'),
  }
}

/** Builds one and returns its row of the table. */
function build(target) {
  const { args, env, missing } = recipeOf(target)
  if (missing !== undefined)
    return { platform: target.platform, bytes: '-', result: `not built: ${missing}`, failed: names.length > 0 }
  console.log(`${target.platform}: cargo ${args.join(' ')}`)
  const environment = { ...process.env, CARGO_PROFILE_RELEASE_STRIP: 'symbols', ...env }
  const { status } = spawnSync('cargo', [...args, ...BUILD], { cwd: ROOT, env: environment, stdio: 'inherit' })
  if (status !== 0) return { platform: target.platform, bytes: '-', result: 'failed', failed: true }
  const library = LIBRARIES[target.os]
  const addon = builtAddon(target)
  copyFileSync(join(BUILD_DIR, target.triple, 'release', library), addon)
  if (target.os === 'win32') strip(addon)
  const fault = faultOf(target, addon)
  return {
    platform: target.platform,
    bytes: statSync(addon).size,
    result: fault ?? 'built',
    failed: fault !== undefined,
  }
}

const rows = targetsNamed(names).map(build)
console.log('')
for (const { platform, bytes, result } of rows)
  console.log(`${platform.padEnd(18)}${String(bytes).padStart(9)}  ${result}`)
process.exitCode = rows.some(({ failed }) => failed) ? 1 : 0
