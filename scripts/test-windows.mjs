// Tests the port to Windows: `npm run test:windows [-- core flow addon node [--only WORD]]`, of the specs of Node.js those whose file has the
// word in its name. On Windows, with its own Rust and Node.js; elsewhere in wine, see ports/windows/wine.mjs for what that needs. What is
// left out, and why: ports/windows/skipped.mjs. Build the TypeScript before.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { PARTS, testPort } from './ports/port.mjs'
import * as skipped from './ports/windows/skipped.mjs'
import * as wine from './ports/windows/wine.mjs'
import { mingwEnvironment } from './release/mingw.mjs'
import { ROOT } from './release/targets.mjs'

const isHere = process.platform === 'win32'
const folder = join(ROOT, 'target', 'windows')
mkdirSync(folder, { recursive: true })
const machine = isHere
  ? { env: process.env, target: [], node: (args) => [process.execPath, ...args] }
  : {
      env: { ...wine.env, ...mingwEnvironment(join(folder, 'lib')) },
      target: ['--target', wine.TRIPLE],
      node: wine.runnerOf(wine.prepare()),
    }
const addon = { built: 'millrace_node.dll', name: `millrace.win32-x64-${isHere ? 'msvc' : 'gnu'}.node` }
const options = { only: { type: 'string', default: '' } }
const { values, positionals: named } = parseArgs({ allowPositionals: true, options })
try {
  await testPort(
    { ...machine, folder, addon, skipped, word: values.only },
    named.length === 0 ? Object.keys(PARTS) : named,
  )
} finally {
  if (!isHere) wine.end()
}
