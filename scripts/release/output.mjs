// What a command prints.
import { spawnSync } from 'node:child_process'
import { ROOT } from './targets.mjs'

/** Undefined: it is not there, or has failed. */
export function outputOf(command, ...args) {
  const { status, stdout } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  return status === 0 ? stdout.trim() : undefined
}
