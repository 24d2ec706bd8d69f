// Processes come and go: together, one after another, in every way a process can end. Nothing of them is left.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import type { CycleArgs, Looks } from '../fixtures/cycle.js'
import type { Arrival } from '../fixtures/race.js'
import { leftovers, type Trace } from '../helpers/domain.js'
import { startChild } from './children.js'

const LONG = process.env['MILLRACE_LONG'] === '1'
const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip

const comeAndGo = fileURLToPath(new URL('../fixtures/come-and-go.js', import.meta.url))
const run = promisify(execFile)

/** Runs come-and-go; returns where its domain was. */
async function visit(domain: string, ending: string): Promise<Trace> {
  const { stdout } = await run(process.execPath, [comeAndGo, domain, ending])
  return JSON.parse(stdout) as Trace
}

test.serial('100 processes open the same new domain at once: it is one domain, and none is left', async (t) => {
  t.timeout(120_000)
  const children = Array.from({ length: 100 }, () => startChild(t, 'race', { domain: `ava-${process.pid}-race` }))
  await Promise.all(children.map((child) => child.started()))
  for (const child of children) child.say('go')
  const arrivals = await Promise.all(children.map((child) => child.hear<Arrival>()))
  t.is(new Set(arrivals.map(({ trace }) => JSON.stringify(trace))).size, 1)
  t.is(new Set(arrivals.map(({ createdAtMs }) => createdAtMs)).size, 1)
  t.is(new Set(arrivals.map(({ participant }) => participant)).size, 100)
  for (const child of children) child.say('leave')
  await Promise.all(children.map((child) => child.done()))
  t.deepEqual(leftovers(arrivals[0]!.trace), [])
})

for (const ending of ['close', 'itself', 'exit']) {
  test.serial(`a process that ends by ${ending} leaves nothing behind`, async (t) => {
    t.timeout(30_000)
    t.deepEqual(leftovers(await visit(`ava-${process.pid}-end`, ending)), [])
  })
}

for (const ending of ['throw', 'reject']) {
  test.serial(`a process that ends by an uncaught error (${ending}) leaves nothing behind`, async (t) => {
    t.timeout(30_000)
    const error = await t.throwsAsync<Error & { code: number; stdout: string; stderr: string }>(
      visit(`ava-${process.pid}-end`, ending),
    )
    t.is(error.code, 1)
    t.regex(error.stderr, /on purpose/)
    t.deepEqual(leftovers(JSON.parse(error.stdout) as Trace), [])
  })
}

const VISITS = LONG ? 1000 : 300
test.serial(`${VISITS} processes, two at a time, leave nothing behind`, async (t) => {
  t.timeout(600_000)
  const traces = new Map<string, Trace>()
  const endings = Array.from({ length: VISITS }, (_, i) => ['close', 'itself', 'exit'][i % 3]!)
  const visitor = async () => {
    for (let ending = endings.pop(); ending !== undefined; ending = endings.pop()) {
      const trace = await visit(`ava-${process.pid}-visits`, ending)
      traces.set(trace.objects, trace)
    }
  }
  await Promise.all([visitor(), visitor()])
  t.deepEqual([...traces.values()].flatMap(leftovers), [])
})

/** What the heap and its allocator may keep for themselves; less and less comes to it. One page a cycle is twice as much. */
const SLACK_KIB = 4096
/** V8's nursery stays as it is: left alone, it grows by 4 MiB at some moment, which looks like a leak of half a page a cycle. */
const EXEC_ARGV = ['--expose-gc', '--max-semi-space-size=1']
/** Mappings that the JavaScript heap may add. A leak would add one a cycle. */
const SLACK_MAPPINGS = 64

for (const { cycles, use } of [
  { cycles: LONG ? 100_000 : 10_000, use: false },
  { cycles: LONG ? 20_000 : 2000, use: true },
]) {
  onLinux(`${cycles} cycles of ${use ? 'open, use and close' : 'open and close'} leave nothing behind`, async (t) => {
    t.timeout(300_000)
    const args: CycleArgs = { domain: `ava-${process.pid}-cycle`, warmUp: 1000, cycles, use }
    const child = startChild(t, 'cycle', args, { execArgv: EXEC_ARGV })
    const { before, after } = await child.hear<Looks>()
    await child.done()
    t.log(before, after)
    t.is(after.descriptors, before.descriptors)
    t.is(after.threads, before.threads)
    t.is(after.files, 0)
    t.true(after.mappings <= before.mappings + SLACK_MAPPINGS, `${before.mappings} → ${after.mappings} mappings`)
    t.true(after.anonymousKiB <= before.anonymousKiB + SLACK_KIB, `${before.anonymousKiB} → ${after.anonymousKiB} KiB`)
  })
}
