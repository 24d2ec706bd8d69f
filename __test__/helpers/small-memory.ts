// Programs of __test__/fixtures where /dev/shm is a small file system.
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

/** Runs a command in a mount namespace of its own, as the superuser or as one of a user namespace. */
const unshare = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user']
const mount = (size: string) => `mount -t tmpfs -o size=${size},mode=1777 tmpfs /dev/shm`
const permitted = spawnSync('unshare', [...unshare, 'sh', '-c', mount('1m')]).status === 0

/** A serial test; skipped, visibly, where no file system can be mounted. */
export const inSmallMemory = permitted ? test.serial : test.serial.skip

/** The title of such a test. */
export function smallMemory(title: string): string {
  return permitted ? title : `${title} (mounting a small one is not permitted here)`
}

/** What runs the program that follows it where /dev/shm has `size`. */
export function smallMemoryFor(size: string): readonly string[] {
  return ['unshare', ...unshare, 'sh', '-c', `${mount(size)} && exec "$0" "$@"`]
}

/** What `fixture` prints, as JSON, where /dev/shm has `size`. */
export async function runInSmallMemory<R>(size: string, fixture: string): Promise<R> {
  const program = fileURLToPath(new URL(`../fixtures/${fixture}.js`, import.meta.url))
  const env = { ...process.env }
  delete env['MILLRACE_DIR']
  delete env['XDG_RUNTIME_DIR']
  const [command, ...args] = smallMemoryFor(size)
  const { stdout } = await promisify(execFile)(command!, [...args, process.execPath, program], { env })
  return JSON.parse(stdout) as R
}
