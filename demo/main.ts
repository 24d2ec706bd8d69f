// Three kinds of processes move a file through shared memory. One of them is killed on the way, and nothing is missing:
//
//   reader ─── chunks ──> hasher, hasher ─── digests ──> collector ─── progress ──> this program
//      ^────────────────────────── requests ─────────────────┘
//
// npm run demo -- [FILE] [--passes N]
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type RecoveryReport, ShmManager } from '../index.js'
import { chunksOf, digestOfFile, type Job, MAIN, type Progress, type Result } from './job.js'
import { say, showProgress, showTable } from './show.js'

/** Longest silence of the collector, in ms. */
const PATIENCE_MS = 30_000
/** With fewer chunks it may be over before anybody can be killed. */
const MIN_CHUNKS_TO_KILL = 10

/** A kill and its repair. */
interface Recovery {
  report: RecoveryReport
  /** From the kill to the report, in ms. */
  elapsedMs: number
}

const job = parseJob()
const total = chunksOf(job)
const children = new Set<ChildProcess>()
const trouble = new AbortController()
const { signal } = trouble
process.once('SIGINT', () => trouble.abort(new Error('interrupted')))

{
  using shm = ShmManager.open(job.domain, { name: MAIN, maxBytes: '32MiB' })
  try {
    process.exitCode = (await run(shm)) ? 0 : 1
  } catch (error) {
    say(`demo: ${(error as Error).message}`)
    process.exitCode = 1
    for (const child of children) child.removeAllListeners('exit').kill('SIGKILL')
  }
  await Promise.all(Array.from(children, (child) => once(child, 'exit')))
}

/** Runs everything and shows what came of it. True: all is as it must be. */
async function run(shm: ShmManager): Promise<boolean> {
  shm.portQueue('chunks', { capacity: 8 })
  shm.portQueue('requests', { codec: 'json' })
  const digests = shm.portQueue('digests', { capacity: 8 })
  const progress = shm.portQueue<Progress | Result>('progress', { capacity: 1, codec: 'json' })

  const hashers = new Map<number, ChildProcess>()
  const startHasher = (): void => {
    const hasher = start('hasher', () => {
      hashers.delete(hasher.pid!)
      if (hasher.killed) startHasher()
      else if (hashers.size === 0) digests.close()
    })
    hashers.set(hasher.pid!, hasher)
  }
  start('reader')
  start('collector')
  startHasher()
  startHasher()

  let recovery: Promise<Recovery> | undefined
  for (;;) {
    const news = await progress.get({ timeout: PATIENCE_MS, signal })
    if ('digest' in news) return conclude(shm, news, await recovery)
    showProgress(news.done / total)
    const halfWay = total >= MIN_CHUNKS_TO_KILL && news.done >= total / 2
    if (halfWay && recovery === undefined && isBusy(shm, news.hasher)) {
      recovery = kill(shm, hashers.get(news.hasher)!)
    }
  }
}

/** Whether a hasher holds a chunk, so that killing it loses something. It always holds the rings of its two queues. */
function isBusy(shm: ShmManager, hasher: number): boolean {
  return shm.registry.snapshot().participants.some(({ pid, held }) => pid === hasher && held > 2)
}

/** `kill -9`. */
async function kill(shm: ShmManager, victim: ChildProcess): Promise<Recovery> {
  const reported = once(shm, 'participant-lost')
  const started = performance.now()
  victim.kill('SIGKILL')
  say(`kill -9 ${victim.pid}, a hasher at work`)
  const [report] = (await reported) as [RecoveryReport]
  const elapsedMs = performance.now() - started
  say(`repaired ${elapsedMs.toFixed(1)} ms later; chunks that it held are asked for again: ${report.lost}`)
  return { report, elapsedMs }
}

/** Shows the result and checks it. */
async function conclude(shm: ShmManager, result: Result, recovery: Recovery | undefined): Promise<boolean> {
  await Promise.all(Array.from(children, (child) => once(child, 'exit', { signal })))
  const bytes = job.bytes * job.passes
  const { queues, pools } = shm.stats()
  const messages = Object.values(queues).reduce((sum, { sent }) => sum + sent, 0)
  const buffers = pools.reduce((sum, pool) => sum + pool.buffers - pool.rings, 0)
  const left = pools.reduce((sum, pool) => sum + pool.used - pool.rings, 0)
  const direct = digestOfFile(job)
  const equal = result.digest === direct
  showProgress(1)
  showTable([
    ['bytes', `${bytes.toLocaleString('en')} in ${result.seconds.toFixed(2)} s`],
    ['messages', messages.toLocaleString('en')],
    ['throughput', `${(bytes / result.seconds / 1e9).toFixed(2)} GB/s`],
    ['copies made', `${result.copies} (of a chunk, between reading it into shared memory and hashing it)`],
    ['killed', recovery === undefined ? 'nobody: it was over too soon' : describe(recovery)],
    ['chunks lost', `${result.lost}, asked again: ${result.askedAgain}`],
    ['buffers left', `${buffers - left} of ${buffers} are free`],
    ['digest', `${result.digest} through the pipeline`],
    ['', `${direct} computed directly: ${equal ? 'equal' : 'DIFFERENT'}`],
  ])
  return equal && left === 0 && result.copies === 0
}

function describe({ report, elapsedMs }: Recovery): string {
  const stop = (report.durationNs / 1e6).toFixed(2)
  return `hasher ${report.pid}; repaired ${elapsedMs.toFixed(1)} ms later, others were held up for ${stop} ms`
}

/** Starts one of the programs; `onEnd` is called when it has done its work or was killed, anything else is trouble. */
function start(program: 'reader' | 'hasher' | 'collector', onEnd?: () => void): ChildProcess {
  const file = fileURLToPath(new URL(`${program}.js`, import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify(job)], { stdio: ['ignore', 'inherit', 'inherit'] })
  children.add(child)
  child.once('exit', (code, ended) => {
    children.delete(child)
    if (code === 0 || child.killed) onEnd?.()
    else trouble.abort(new Error(`the ${program} ended with ${ended ?? `code ${code}`}`))
  })
  return child
}

function parseJob(): Job {
  try {
    const { values, positionals } = parseArgs({
      options: { passes: { type: 'string', default: '10' } },
      allowPositionals: true,
    })
    const file = positionals[0] ?? process.execPath
    const passes = Number(values.passes)
    const stat = statSync(file)
    if (!Number.isInteger(passes) || passes < 1) throw new Error(`--passes ${values.passes}: not a number of passes`)
    if (!stat.isFile() || stat.size === 0) throw new Error(`${file}: not a file with something in it`)
    return { domain: `demo-${process.pid}`, file, bytes: stat.size, passes }
  } catch (error) {
    console.error(`demo: ${(error as Error).message}\nusage: npm run demo -- [FILE] [--passes N]`)
    return process.exit(2)
  }
}
