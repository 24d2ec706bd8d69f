// What an addon asks of the system that loads it.
import { readFileSync } from 'node:fs'
import { outputOf } from './output.mjs'
import { GLIBC, MACOS, MAX_ADDON_BYTES } from './targets.mjs'

const GLIBC_SYMBOL = /@@?\(?GLIBC_(\d+)\.(\d+)/g
/** Of Mach-O: where load commands begin, and the one that has the oldest system. */
const [LOAD_COMMANDS, LC_BUILD_VERSION] = [32, 0x32]

function comparable(major, minor) {
  return Number(major) * 1000 + Number(minor)
}

function readelf(option, path) {
  const stdout = outputOf('readelf', '--wide', option, path)
  if (stdout === undefined) throw new Error('addons are looked at with readelf, which was not found: install binutils')
  return stdout
}

function faultOfGlibc(path) {
  const wanted = [...readelf('--dyn-syms', path).matchAll(GLIBC_SYMBOL)].map(([, major, minor]) =>
    comparable(major, minor),
  )
  const newest = Math.max(...wanted)
  if (newest > comparable(...GLIBC.split('.')))
    return `needs glibc ${Math.floor(newest / 1000)}.${newest % 1000}, not ${GLIBC}`
  if (!readelf('--dynamic', path).includes('NODELETE')) return 'may be unloaded while its threads run'
  return undefined
}

function faultOfMacos(bytes) {
  let at = LOAD_COMMANDS
  for (let left = bytes.readUInt32LE(16); left > 0; left--, at += bytes.readUInt32LE(at + 4)) {
    if (bytes.readUInt32LE(at) !== LC_BUILD_VERSION) continue
    const oldest = `${bytes.readUInt16LE(at + 14)}.${bytes.readUInt8(at + 13)}`
    return oldest === MACOS ? undefined : `needs macOS ${oldest}, not ${MACOS}`
  }
  return 'does not say which macOS it needs'
}

/** What every Windows has; the functions of Node.js are looked for when the addon is loaded. */
const WINDOWS_LIBRARY =
  /^(?:api-ms-win-[\w-]+|(?:advapi32|bcryptprimitives|kernel32|msvcrt|ntdll|userenv|ws2_32)\.dll)/i

function faultOfWindows(path) {
  const stdout = outputOf('objdump', '--private-headers', path)
  if (stdout === undefined)
    throw new Error('addons for Windows are looked at with objdump, which was not found: install binutils')
  const wanted = Array.from(stdout.matchAll(/DLL Name: (\S+)/g), ([, name]) => name)
  const foreign = wanted.filter((name) => !WINDOWS_LIBRARY.test(name))
  return foreign.length > 0 ? `needs ${foreign.join(', ')}` : undefined
}

/** What is wrong with the addon of a target, in words, or undefined. */
export function faultOf({ os, libc }, path) {
  const bytes = readFileSync(path)
  if (bytes.length > MAX_ADDON_BYTES) return `larger than ${MAX_ADDON_BYTES} bytes`
  if (os === 'darwin') return faultOfMacos(bytes)
  if (os === 'win32') return faultOfWindows(path)
  return libc === 'glibc' ? faultOfGlibc(path) : undefined
}
