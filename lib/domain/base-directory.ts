import { statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

/**
 * The directory of all domains that the environment of this thread names; undefined: the addon finds it. A worker may have an
 * environment of its own, and on Bun changes stay in JavaScript: native code cannot see that, so here the core's rule stands once more
 * for it.
 */
export function baseDirectory(): string | undefined {
  return isMainThread && process.versions['bun'] === undefined ? undefined : directoryIn(process.env)
}

/**
 * As the core finds it: `MILLRACE_DIR`, `$XDG_RUNTIME_DIR/millrace`, or one for this user in the memory of the machine; on Windows in
 * `%LOCALAPPDATA%`.
 */
export function directoryIn(environment: NodeJS.ProcessEnv): string {
  const { MILLRACE_DIR: given, XDG_RUNTIME_DIR: runtime, LOCALAPPDATA: local } = environment
  if (given) return given
  if (runtime !== undefined && isDirectory(runtime)) return join(runtime, 'millrace')
  if (process.geteuid === undefined) {
    return join(local !== undefined && isDirectory(local) ? local : tmpdir(), 'millrace')
  }
  const root = isDirectory('/dev/shm') ? '/dev/shm' : tmpdir()
  return join(root, `millrace-${process.geteuid()}`)
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
