// What linking an addon for Windows by mingw-w64 needs.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

export const COMPILER = 'x86_64-w64-mingw32-gcc'
const STRIP = 'x86_64-w64-mingw32-strip'

/** Takes the symbols out of an addon, which the linker leaves in. */
export function strip(addon) {
  const { status, error } = spawnSync(STRIP, ['--strip-all', addon], { stdio: 'inherit' })
  if (status !== 0) throw new Error(`${STRIP}: ${error?.message ?? `status ${status}`}`)
}

/**
 * The environment of cargo. napi-build has the addon linked with a `libnode.dll`, which no Node.js comes with; the addon looks for the
 * functions of Node.js when it is loaded, so an empty one in `directory` does.
 */
export function mingwEnvironment(directory) {
  mkdirSync(directory, { recursive: true })
  const args = ['-shared', '-o', join(directory, 'libnode.dll'), '-x', 'c', '-']
  const { status, error } = spawnSync(COMPILER, args, { input: '', stdio: ['pipe', 'inherit', 'inherit'] })
  if (status !== 0) throw new Error(`${COMPILER}: ${error?.message ?? `status ${status}`}`)
  return { LIBNODE_PATH: directory }
}
