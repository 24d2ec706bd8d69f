// Jobs for workers that may die: one is killed in the middle of a job, its successor and others do what it left. Nothing is lost.
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SageQueue } from 'millrace'

interface Job {
  id: number
  numbers: Set<number>
}

interface Result {
  id: number
  sum: number
}

const JOBS = 200
/** The worker that is killed has done so many before. */
const DONE_BEFORE = 10
const WORKERS = 3

const [role, given] = process.argv.slice(2)
const namespace = given ?? `example-jobs-${process.pid}`
if (role === undefined) await supervise()
else await work(role === 'doomed')

function numbersOf(id: number): Set<number> {
  return new Set([id, id + 1, id * id + 2])
}

/** Does jobs until the queue is shut down. */
async function work(doomed: boolean): Promise<void> {
  process.once('disconnect', () => process.exit())
  using jobs = new SageQueue<Job>('jobs', { namespace })
  using results = new SageQueue<Result>('results', { namespace })
  for (let done = 0; ; done++) {
    const job = await jobs.get().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ERR_MILLRACE_CLOSED') throw error
    })
    if (job === undefined) break
    if (doomed && done === DONE_BEFORE) {
      process.send!(job.id)
      await new Promise(() => {})
    }
    await setTimeout(1)
    let sum = 0
    for (const number of job.numbers) sum += number
    await results.put({ id: job.id, sum })
    // From here on it is nobody's any more. Before, a death gives it to somebody else.
    jobs.taskDone(job)
  }
  process.disconnect()
}

function start(kind: 'worker' | 'doomed'): ChildProcess {
  return fork(fileURLToPath(import.meta.url), [kind, namespace])
}

async function supervise(): Promise<void> {
  using jobs = new SageQueue<Job>('jobs', { namespace, maxsize: JOBS })
  using results = new SageQueue<Result>('results', { namespace, maxsize: JOBS, acknowledge: 'get' })
  for (let id = 0; id < JOBS; id++) await jobs.put({ id, numbers: numbersOf(id) })

  const doomed = start('doomed')
  const [inWork] = (await once(doomed, 'message')) as [number]
  doomed.kill('SIGKILL')
  assert.deepEqual(await once(doomed, 'exit'), [null, 'SIGKILL'])
  console.log(`a worker was killed in the middle of job ${inWork}, after ${results.qsize()} that it has done`)
  assert.deepEqual([inWork, results.qsize()], [DONE_BEFORE, DONE_BEFORE])

  const workers = Array.from({ length: WORKERS }, () => start('worker'))
  const ends = workers.map((worker) => once(worker, 'exit'))
  // Until everything is finished, whoever does it.
  await jobs.join({ timeout: 60_000 })
  const { put, got, redelivered } = jobs.getStats()
  assert.deepEqual([put, got, redelivered], [JOBS, JOBS, 1])
  jobs.shutdown()
  for (const end of ends) assert.deepEqual(await end, [0, null])

  const all = Array.from({ length: results.qsize() }, () => results.getNowait())
  const byId = all.toSorted((one, other) => one.id - other.id)
  const expected = Array.from({ length: JOBS }, (_, id) => ({ id, sum: [...numbersOf(id)].reduce((a, b) => a + b) }))
  assert.deepEqual(byId, expected)
  console.log(
    `${WORKERS} others did the rest: ${all.length} results of ${put} jobs, each once; one was delivered again`,
  )
}
