import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The package's root: this file runs as dist/bench/lib/paths.js. */
export const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Sources, peers' packages and results of the suite. */
export const benchFolder = join(root, 'bench')

/** Where results go; not committed. */
export const resultsFolder = join(benchFolder, 'results')

/** Summaries of the results that releases were published with. */
export const releasesFolder = join(benchFolder, 'releases')

/** A compiled program: of `bench/programs` by its name, any other by its address. */
export function programPath(program: string | URL): string {
  return fileURLToPath(typeof program === 'string' ? new URL(`../programs/${program}.js`, import.meta.url) : program)
}
