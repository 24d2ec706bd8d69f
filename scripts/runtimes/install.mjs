// Fetches runtimes, each into a folder of its own in target/runtimes.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../release/targets.mjs'

/** The path of a runtime's program, after it was fetched if it was not there. */
export function install({ name, npm, wheel, file }) {
  const folder = join(ROOT, 'target', 'runtimes', name)
  const program =
    wheel === undefined ? join(folder, 'node_modules', npm.slice(0, npm.lastIndexOf('@')), file) : join(folder, file)
  if (existsSync(program)) return program
  mkdirSync(folder, { recursive: true })
  // npm is told to install what is for another C library, too; pip would look for wheels of this one.
  const [command, ...args] =
    wheel === undefined
      ? ['npm', 'install', '--force', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, npm]
      : ['python3', '-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary=:all:', '--target', folder].concat(
          '--platform',
          'musllinux_1_2_x86_64',
          wheel,
        )
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (status !== 0)
    throw new Error(`${name} could not be fetched: ${error?.message ?? `${command} ended with ${status}`}`)
  return program
}
