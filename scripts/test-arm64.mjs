// Tests the port to Linux on arm64 under qemu: `npm run test:arm64 [-- core flow addon]`, see ports/arm64/qemu.mjs for what that needs. What is
// left out, and why: ports/arm64/skipped.mjs. Build the TypeScript before.
import * as qemu from './ports/arm64/qemu.mjs'
import * as skipped from './ports/arm64/skipped.mjs'
import { testPort } from './ports/port.mjs'

const node = qemu.prepare()
if (qemu.isRegistered(node)) {
  const port = {
    env: qemu.env,
    target: ['--target', qemu.TRIPLE],
    addon: { built: 'libmillrace_node.so', name: 'millrace.linux-arm64-gnu.node' },
    node: (args) => [node, ...args],
    folder: qemu.FOLDER,
    skipped,
  }
  const named = process.argv.slice(2)
  await testPort(port, named.length === 0 ? ['core', 'flow', 'addon'] : named)
} else {
  process.exitCode = qemu.runRegistered()
}
