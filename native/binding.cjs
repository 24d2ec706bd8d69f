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
}

const ELF_START_BYTES = 4096

/** The dynamic linker that `file` asks for, as far as its first bytes tell. */
function interpreterOf(file) {
  const start = Buffer.alloc(ELF_START_BYTES)
  let fd
  try {
    fd = openSync(file, 'r')
    return /\/ld-(musl|linux)[^\0]*/.exec(start.toString('latin1', 0, readSync(fd, start)))?.[1]
  } catch {
    // Node's permission model may forbid it.
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** The C library that this process runs with: a system may have both, so what `ldd` or a path tells is not asked. */
function libc() {
  const interpreter = interpreterOf(process.execPath)
  if (interpreter !== undefined) return interpreter === 'musl' ? 'musl' : 'gnu'
  // Takes ten milliseconds.
  return process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'
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

const platform = [process.platform, process.arch, ...(process.platform === 'linux' ? [libc()] : [])].join('-')
const built = path.join(__dirname, `millrace.${platform}.node`)
module.exports = existsSync(built) ? require(built) : fromPackage(platform)
