import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { latencyOf } from './numbers.js'
import { inFolder } from './pair.js'
import { benchFolder, programPath } from './paths.js'
import type { Sample } from './result.js'
import type { Contender } from './row.js'

/** What a link between two processes is asked to carry, with a copy made by the sender. */
export interface LinkForm {
  readonly bytes: number
  /** Rest before the next message; 0: as fast as the receiver takes them. */
  readonly gapMs: number
}

/** How long besides. */
export interface LinkJob extends LinkForm {
  readonly warmupMs: number
  readonly timedMs: number
}

/** What the receiver has counted after the time to warm up. */
export interface Counted {
  readonly count: number
  readonly seconds: number
  /** With a gap: how long each was under way, in µs. */
  readonly ages: readonly number[]
}

const run = promisify(execFile)
const TIMEOUT_MS = 60_000
const doraFolder = join(benchFolder, 'dora')
const doraPrograms = join(doraFolder, 'venv', 'bin')

/** Two blocks of JavaScript. */
export function millraceLink(form: LinkForm): Contender {
  return {
    name: 'Millrace, JavaScript',
    async measure({ warmupMs, timedMs }) {
      const job: LinkJob = { ...form, warmupMs, timedMs }
      const { stdout } = await run(process.execPath, [programPath('flow-link'), JSON.stringify(job)], {
        timeout: TIMEOUT_MS,
      })
      return sampleOf(form, JSON.parse(stdout) as Counted)
    },
  }
}

/** Two Python nodes of dora. */
export function doraLink(form: LinkForm): Contender {
  return {
    name: 'dora, Python',
    absent: async () =>
      existsSync(join(doraPrograms, 'dora')) ? undefined : 'dora is not installed: see bench/README.md',
    measure: ({ warmupMs, timedMs }) =>
      inFolder(async (folder) => {
        const result = join(folder, 'result.json')
        const job = { ...form, warmupMs, timedMs, result }
        // JSON is YAML.
        writeFileSync(join(folder, 'dataflow.yml'), JSON.stringify({ nodes: nodes() }))
        const PATH = `${doraPrograms}:${process.env['PATH']}`
        const env = { ...process.env, PATH, BENCH_JOB: JSON.stringify(job) }
        await run(join(doraPrograms, 'dora'), ['run', 'dataflow.yml'], { cwd: folder, env, timeout: TIMEOUT_MS })
        return sampleOf(form, JSON.parse(readFileSync(result, 'utf8')) as Counted)
      }),
  }
}

function nodes() {
  return [
    { id: 'sender', path: join(doraFolder, 'sender.py'), outputs: ['data'] },
    {
      id: 'receiver',
      path: join(doraFolder, 'receiver.py'),
      inputs: { data: { source: 'sender/data', queue_size: 1000 } },
    },
  ]
}

function sampleOf({ gapMs }: LinkForm, { count, seconds, ages }: Counted): Sample {
  if (gapMs === 0) return { value: count / seconds }
  const latency = latencyOf(Float64Array.from(ages))
  return { value: latency.p50, latency }
}
