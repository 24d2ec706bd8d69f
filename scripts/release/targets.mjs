// The platforms that have an addon, each with a package of its own. `native/binding.cjs` spells the same names out.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** Where addons for all platforms are built. */
export const BUILD_DIR = join(ROOT, 'target', 'release-addons')

/** The oldest glibc that addons for it run with: that of RHEL 7, older than any Node.js 20 wants. */
export const GLIBC = '2.17'
/** The oldest macOS. */
export const MACOS = '11.0'
/** What an addon may have, in bytes. */
export const MAX_ADDON_BYTES = 1.5e6

export const TARGETS = [
  { platform: 'darwin-arm64', triple: 'aarch64-apple-darwin', os: 'darwin', cpu: 'arm64' },
  { platform: 'darwin-x64', triple: 'x86_64-apple-darwin', os: 'darwin', cpu: 'x64' },
  { platform: 'linux-arm64-gnu', triple: 'aarch64-unknown-linux-gnu', os: 'linux', cpu: 'arm64', libc: 'glibc' },
  { platform: 'linux-arm64-musl', triple: 'aarch64-unknown-linux-musl', os: 'linux', cpu: 'arm64', libc: 'musl' },
  { platform: 'linux-x64-gnu', triple: 'x86_64-unknown-linux-gnu', os: 'linux', cpu: 'x64', libc: 'glibc' },
  { platform: 'linux-x64-musl', triple: 'x86_64-unknown-linux-musl', os: 'linux', cpu: 'x64', libc: 'musl' },
  { platform: 'win32-x64-gnu', triple: 'x86_64-pc-windows-gnu', os: 'win32', cpu: 'x64' },
]

/** The targets named, or all. */
export function targetsNamed(names) {
  const unknown = names.find((name) => !TARGETS.some(({ platform }) => platform === name))
  if (unknown !== undefined) {
    throw new Error(`there is no platform ${unknown}, only ${TARGETS.map(({ platform }) => platform).join(', ')}`)
  }
  return names.length === 0 ? TARGETS : TARGETS.filter(({ platform }) => names.includes(platform))
}

/** Name of a platform's package. */
export function packageOf({ platform }) {
  return `millrace-${platform}`
}

/** File name of a platform's addon. */
export function fileOf({ platform }) {
  return `millrace.${platform}.node`
}

/** Where `npm run build:all` leaves it. */
export function builtAddon(target) {
  return join(BUILD_DIR, fileOf(target))
}
