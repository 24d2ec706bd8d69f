// Loads the addon for the Node.js that runs: the one built here, if this is a checkout, else that of the platform's package.
'use strict'

const { closeSync, existsSync, openSync, readSync } = require('node:fs')
const path = require('node:path')
const { version } = require('../package.json')

const GUIDE = 'https://github.com/millrace/millrace/blob/main/docs/install.md'

// Each with its name spelled out: tools that trace dependencies read the source.
const PACKAGES = {
  'darwin-arm64': () => [require('millrace-darwin-arm64'), require('millrace-darwin-arm64/package.json')],
  'darwin-x64': () => [require('millrace-darwin-x64'), require('millrace-darwin-x64/package.json')],
  'linux-arm64-gnu': () => [require('millrace-linux-arm64-gnu'), require('millrace-linux-arm64-gnu/package.json')],
  'linux-arm64-musl': () => [require('millrace-linux-arm64-musl'), require('millrace-linux-arm64-musl/package.json')],
  'linux-x64-gnu': () => [require('millrace-linux-x64-gnu'), require('millrace-linux-x64-gnu/package.json')],
  'linux-x64-musl': () => [require('millrace-linux-x64-musl'), require('millrace-linux-x64-musl/package.json')],
  'win32-x64-gnu': () => [require('millrace-win32-x64-gnu'), require('millrace-win32-x64-gnu/package.json')],
}

const ELF_MAGIC = 0x464c457f
const PT_INTERP = 3

/** The dynamic linker that an executable asks for: of 64-bit ELF, undefined of anything else, and where it may not be read. */
function interpreterOf(file) {
  let fd
  const read = (at, bytes) => {
    const buffer = Buffer.alloc(bytes)
    readSync(fd, buffer, 0, bytes, at)
    return buffer
  }
  try {
    fd = openSync(file, 'r')
    const header = read(0, 64)
    if (header.readUInt32LE(0) !== ELF_MAGIC) return undefined
    const [entryBytes, entries] = [header.readUInt16LE(54), header.readUInt16LE(56)]
    const table = read(Number(header.readBigUInt64LE(32)), entryBytes * entries)
    for (let at = 0; at < table.length; at += entryBytes) {
      if (table.readUInt32LE(at) !== PT_INTERP) continue
      return read(Number(table.readBigUInt64LE(at + 8)), Number(table.readBigUInt64LE(at + 32))).toString('latin1')
    }
  } catch {
    // Node's permission model may forbid it.
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
  return undefined
}

/** The C library that this process runs with: a system may have both, so what `ldd` or a path tells is not asked. */
function libc() {
  const interpreter = interpreterOf(process.execPath)
  if (interpreter !== undefined) return interpreter.includes('/ld-musl') ? 'musl' : 'gnu'
  const { report } = process
  const { excludeNetwork } = report
  // Otherwise the names of all hosts that sockets are connected with are looked up.
  report.excludeNetwork = true
  try {
    return report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}

function unsupported(message, cause) {
  const error = new Error(`${message}\n${GUIDE} says more.`, { cause })
  error.code = 'ERR_MILLRACE_UNSUPPORTED'
  return error
}

function fromPackage(platform) {
  const name = `millrace-${platform}`
  if (!Object.hasOwn(PACKAGES, platform)) {
    throw unsupported(
      `There is no addon of millrace for ${platform}, only for ${Object.keys(PACKAGES).join(', ')}. ` +
        'To build one, take the repository and, with Rust installed, run `npm ci` there.',
    )
  }
  let found
  try {
    found = PACKAGES[platform]()
  } catch (error) {
    throw unsupported(
      error.code === 'MODULE_NOT_FOUND' ? absent(name) : `${name} does not load: ${error.message}`,
      error,
    )
  }
  const [addon, about] = found
  if (about.version === version) return addon
  throw unsupported(
    `${name} ${about.version} does not fit millrace ${version}: install the same version of both, ` +
      `e.g. by \`npm install millrace@${version}\`.`,
  )
}

function absent(name) {
  return (
    `The package ${name}, which has the addon of millrace for this Node.js, is not installed. Either optional dependencies were ` +
    'left out (--omit=optional, --no-optional), or node_modules, or its lock file, was made on another platform: install again ' +
    `on this one, or add it by name: \`npm install ${name}@${version}\`. In a bundle, millrace has to be external. ` +
    'To build it, take the repository and, with Rust installed, run `npm ci` there.'
  )
}

/** The platform, as packages and addons are named: with the C library, if there is a choice. On Windows every Node.js takes either addon. */
function platforms() {
  const machine = `${process.platform}-${process.arch}`
  if (process.platform === 'linux') return [`${machine}-${libc()}`]
  return process.platform === 'win32' ? [`${machine}-gnu`, `${machine}-msvc`] : [machine]
}

const names = platforms()
const built = names
  .map((platform) => path.join(__dirname, `millrace.${platform}.node`))
  .find((file) => existsSync(file))
module.exports = built === undefined ? fromPackage(names[0]) : require(built)
