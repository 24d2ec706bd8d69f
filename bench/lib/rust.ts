import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { benchFolder } from './paths.js'
import type { Sample } from './result.js'
import type { Contender } from './row.js'

/** The Rust harness, if it has been built. */
export const harness = join(benchFolder, 'rust', 'target', 'release', 'millrace-bench')
const futureSdrHarness = join(benchFolder, 'futuresdr', 'target', 'release', 'futuresdr-bench')
const run = promisify(execFile)

/** A measurement of the Rust harness in `bench/rust`, given its arguments: processes of its own, results as a line of JSON. */
export function rust(name: string, args: readonly string[]): Contender {
  return program(name, harness, args, 'bench/rust is not built, which needs cargo')
}

/** The same of `bench/futuresdr`. */
export function futureSdr(args: readonly string[]): Contender {
  return program(
    'FutureSDR',
    futureSdrHarness,
    args,
    'bench/futuresdr is not built, which needs rustup and a complete run',
  )
}

function program(name: string, file: string, args: readonly string[], whyAbsent: string): Contender {
  return {
    name,
    absent: async () => (existsSync(file) ? undefined : whyAbsent),
    async measure({ warmupMs, timedMs }) {
      const times = ['--warmup-ms', String(warmupMs), '--ms', String(timedMs)]
      const { stdout } = await run(file, [...args, ...times], { timeout: 60_000 })
      return JSON.parse(stdout) as Sample
    },
  }
}
