import { createRequire } from 'node:module'
import { join } from 'node:path'
import { benchFolder } from './paths.js'

const requireFromBench = createRequire(join(benchFolder, 'package.json'))

/** A package of `bench/package.json`. They are not installed with the rest, so their types are unknown here. */
export function requirePeer<T>(name: string): T {
  return requireFromBench(name) as T
}

/** Why a package cannot be used, or nothing. */
export async function absentPeer(name: string): Promise<string | undefined> {
  try {
    requireFromBench(name)
    return undefined
  } catch (error) {
    const [line] = (error as Error).message.split('\n')
    return `package ${name} does not load: ${line}`
  }
}

/** Its version, or nothing if it is not installed. */
export function versionOfPeer(name: string): string | undefined {
  try {
    return (requireFromBench(`${name}/package.json`) as { version: string }).version
  } catch {
    return undefined
  }
}
