// The process of a block of JavaScript is killed at each step of its work: what comes, what comes again and what is lost is exact.
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import type { Run } from '../../flow.js'
import type { Delivery } from '../../index.js'
import { openDomain } from '../helpers/domain.js'
import { rejectsCode } from '../helpers/errors.js'
import { count, nothingLeft } from '../helpers/flow.js'
import { COUNT, STUCK_AT, type StuckArgs, stuckFlow } from '../helpers/stuck-flow.js'
import { until } from '../process/children.js'

const module = fileURLToPath(new URL('../fixtures/flow-stuck.js', import.meta.url))
const all = [...count(COUNT)]

/** What became of the values. */
interface End {
  came: number[]
  /** Messages that the dead process had, by the report of its death. */
  lost: number
  redelivered: number
}

/** Runs the flow, and kills the process of the block when it is stuck; `meanwhile` is called before that. */
async function killed(
  t: ExecutionContext,
  given: Omit<StuckArgs, 'domain'>,
  meanwhile: (run: Run) => unknown = () => {},
  end: (run: Run) => Promise<unknown> = (run) => run.done,
): Promise<End> {
  const shm = openDomain(t, { name: 'first' })
  const args: StuckArgs = { domain: shm.domain, ...given }
  const at = shm.portQueue('at', {})
  const came = shm.portQueue<number>('came', { codec: 'json', capacity: 4 * COUNT })
  const gate = new AbortController()
  const f = stuckFlow(shm, args, once(gate.signal, 'abort'))
  const options = { module, args: [JSON.stringify(args)], backoff: { initial: 0 } }
  await using run = await f.start({ processes: { child: options, ...(given.before && { before: options }) } })
  const child = () => run.processes['child']!
  if (given.at === 'nothing') await until(() => child().phase === 'running')
  else {
    gate.abort()
    await at.get()
    // What a source has yielded goes out meanwhile.
    if (given.block === 'source') await until(() => came.depth === STUCK_AT)
  }
  await meanwhile(run)
  at.close()
  process.kill(child().pid!, 'SIGKILL')
  gate.abort()
  await end(run)
  const { lost, redelivered } = shm.registry.snapshot().recovered
  const values: number[] = []
  for (let value = came.tryGet(); value !== undefined; value = came.tryGet()) values.push(value)
  at.destroy()
  came.destroy()
  nothingLeft(t, shm)
  return { came: values, lost, redelivered }
}

function neighbourEnded(run: Run): Promise<void> {
  return until(() => run.processes['before']!.phase === 'ended')
}

/** The batch of so many values that was lost. */
function batchIn(t: ExecutionContext, came: number[], size: number): number[] {
  const start = came.findIndex((value, at) => value !== at)
  const from = start === -1 ? came.length : start
  const batch = all.slice(from, from + size)
  t.true(batch.includes(STUCK_AT), `${from}, ${size}`)
  return batch
}

for (const delivery of ['at-least-once', 'at-most-once'] satisfies Delivery[]) {
  const again = delivery === 'at-least-once'
  for (const block of ['map', 'sink'] as const) {
    test.serial(`a ${block} that has taken nothing, ${delivery}`, async (t) => {
      const end = await killed(t, { delivery, block, at: 'nothing' })
      t.deepEqual(end, { came: all, lost: 0, redelivered: 0 })
    })

    for (const drained of [false, true]) {
      const title = `a ${block} that works, ${delivery}${drained ? ', while the flow drains' : ''}`
      test.serial(title, async (t) => {
        let ended: Promise<unknown> | undefined
        const drain = (run: Run) => void (ended = run.drain({ timeout: 20_000 }))
        const { came, lost, redelivered } = await killed(
          t,
          { delivery, block, at: 'working' },
          drained ? drain : undefined,
          (run) => ended ?? run.done,
        )
        if (again) {
          t.deepEqual({ came, lost }, { came: all, lost: 0 })
          t.true(redelivered > 0)
        } else {
          const batch = batchIn(t, came, lost)
          t.deepEqual(
            came,
            all.filter((value) => !batch.includes(value)),
          )
          t.is(redelivered, 0)
        }
      })
    }

    test.serial(`a ${block} that has sent, and not acknowledged, ${delivery}`, async (t) => {
      const { came, lost, redelivered } = await killed(t, { delivery, block, at: 'sent' })
      if (again) {
        // After the batch it comes again.
        const end = came.findIndex((value, at) => value !== at)
        const batch = all.slice(end - redelivered, end)
        t.true(batch.includes(STUCK_AT))
        t.deepEqual(came, [...all.slice(0, end), ...batch, ...all.slice(end)])
        t.is(lost, 0)
      } else {
        // The dead had what it had made a copy of: it counts as lost, whatever became of the copy.
        t.deepEqual({ came, redelivered }, { came: all, redelivered: 0 })
        t.true(lost > 0)
      }
    })
  }

  test.serial(`a map whose neighbour has ended before, ${delivery}`, async (t) => {
    const { came, lost } = await killed(t, { delivery, block: 'map', at: 'working', before: true }, neighbourEnded)
    const batch = lost === 0 ? [] : batchIn(t, came, lost)
    t.deepEqual(
      came,
      all.filter((value) => !batch.includes(value)),
    )
    t.is(lost === 0, again)
  })
}

test.serial('a source that has sent some starts anew', async (t) => {
  const end = await killed(t, { delivery: 'at-most-once', block: 'source', at: 'working' })
  t.deepEqual(end, { came: [...all.slice(0, STUCK_AT), ...all], lost: 0, redelivered: 0 })
})

test.serial('a source that is stuck while the flow drains ends with what it has sent', async (t) => {
  let ended: Promise<unknown> = Promise.resolve()
  const drain = (run: Run) => void (ended = run.drain())
  const end = await killed(t, { delivery: 'at-most-once', block: 'source', at: 'working' }, drain, () =>
    rejectsCode(t, ended, 'ERR_MILLRACE_BLOCK_FAILED', '"child" with block "', '(SIGKILL)'),
  )
  t.deepEqual(end, { came: all.slice(0, STUCK_AT), lost: 0, redelivered: 0 })
})
