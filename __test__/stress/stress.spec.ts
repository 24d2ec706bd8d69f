// The short form of `npm run stress`.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { compare, incomparable, readBaseline, slower } from '../../stress/lib/baseline.js'
import { findable, type Proof } from '../../stress/lib/prove.js'
import type { Report, Result } from '../../stress/lib/result.js'
import { boundsOf, growing, Watch } from '../../stress/lib/watch.js'
import { SCENARIOS } from '../../stress/scenarios.js'
import { startProgram } from '../helpers/cli.js'

const MAIN = fileURLToPath(new URL('../../stress/main.js', import.meta.url))
/** What is left to the long form: starts of many processes, what takes its time, and deaths, which have specs of their own. */
const LONG = new Set(['crowd', 'deaths', 'threads', 'bursts', 'buffers'])
const SHORT = SCENARIOS.map(({ name }) => name).filter((name) => !LONG.has(name))

const stress = (...args: string[]) => startProgram(process.execPath, [MAIN, ...args]).ended
let folder: string
test.before(() => (folder = mkdtempSync(join(tmpdir(), 'millrace-stress-'))))
test.after.always(() => rmSync(folder, { recursive: true }))

test.serial('everything that is sent comes, once, in order, whole; a page and a JSON file tell', async (t) => {
  t.timeout(120_000)
  const page = join(folder, 'run.html')
  const baseline = join(folder, 'none.json')
  const { code, stdout, stderr } = await stress(
    ...SHORT,
    '--seconds',
    '1',
    '--processes',
    '4',
    '--report',
    page,
    '--baseline',
    baseline,
    '--json',
  )
  const report = JSON.parse(stdout) as Report
  t.deepEqual(report, JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8')))
  t.deepEqual(report.results.flatMap(({ problems }) => problems), [], stderr) // prettier-ignore
  t.is(code, 0)
  t.deepEqual(report.results.map(({ scenario }) => scenario), SHORT) // prettier-ignore
  for (const { scenario, messages, participants, samples } of report.results) {
    t.true(messages > 0 && participants.every((one) => one.error === null) && samples.length > 1, scenario)
  }
  const html = readFileSync(page, 'utf8')
  for (const scenario of SHORT) t.true(html.includes(`<h2 id="${scenario}">`))
  // It needs nothing besides.
  t.notRegex(html, /(src|href)="[^#]/)
})

test.serial('what a participant does wrong is found, whatever it is, and the others go on', async (t) => {
  t.timeout(120_000)
  const { code, stdout, stderr } = await stress('concurrent', '--seconds', '1', '--processes', '4', '--prove', '--json')
  t.is(code, 0, stdout + stderr)
  const found = JSON.parse(stdout) as Proof[]
  const faults = findable(SCENARIOS.find(({ name }) => name === 'concurrent')!)
  t.deepEqual(found.map(({ fault }) => fault), faults) // prettier-ignore
  const expected: Record<string, RegExp> = {
    lose: /messages were sent, \d+ came/,
    repeat: /out of order, or twice/,
    damage: /1 messages were damaged/,
    swap: /out of order/,
    hold: /1 buffers are in use/,
    memory: /rssBytes grew by/,
    descriptors: /descriptors grew by/,
    throw: /receiver 1: Error: on purpose/,
    die: /receiver 1: program 'participant' has ended with SIGKILL/,
  }
  for (const { fault, problems } of found) t.true(problems.some((one) => expected[fault]!.test(one)), `${fault}: ${problems.join('; ')}`) // prettier-ignore
})

test.serial('a run is compared with the figures of this machine, and told what is much slower', async (t) => {
  t.timeout(60_000)
  const path = join(folder, 'baseline.json')
  const page = join(folder, 'compared.html')
  const args = ['requests', '--seconds', '1', '--processes', '2', '--report', page, '--baseline', path]
  t.is((await stress(...args, '--update')).code, 0)
  const baseline = readBaseline(path)!
  const report = JSON.parse(readFileSync(join(folder, 'compared.json'), 'utf8')) as Report
  const [result] = report.results as [Result]
  const { requests } = baseline.scenarios
  t.deepEqual(compare(baseline, result), { perSecond: 1, p50: 1 })
  const faster = { ...baseline, scenarios: { requests: { ...requests!, perSecond: requests!.perSecond * 4 } } }
  t.deepEqual(slower(compare(faster, result)!), ['it did 25 % of the messages a second of the baseline'])
  t.deepEqual(slower(compare(baseline, result)!), [])
  t.is(compare(baseline, { ...result, processes: 3 }), null)
  const idle = { ...baseline.machine, load: 0 }
  t.is(incomparable(baseline, idle), null)
  t.is(incomparable(baseline, { ...idle, cores: 4096 }), 'the baseline is of another machine, or another Node.js')
  t.is(
    incomparable(baseline, { ...idle, load: idle.cores + 1 }),
    `others use this machine: load ${idle.cores + 1} on ${idle.cores} cores`,
  )
  t.is(incomparable(readBaseline(join(folder, 'nothing.json')), idle), 'there is no baseline: --update makes one')
})

test('growth is told by its slope, not by its noise', (t) => {
  const MIB = 2 ** 20
  t.deepEqual(
    watched((i) => 100 * MIB + (i % 2) * 100 * MIB),
    [],
  )
  t.regex(watched((i) => (100 + 6 * i) * MIB)[0]!, /^rssBytes grew by \d+ in 19 s, more than 100663296$/)
  // Before it is warm it may grow.
  t.deepEqual(
    watched((i) => Math.min(i, 9) * 100 * MIB),
    [],
  )
})

test('wrong usage', async (t) => {
  const { code, stderr } = await stress('concurent')
  t.is(code, 2)
  t.regex(stderr, /^no scenario is called "concurent": concurrent, lifecycle, /)
  t.regex((await stress('mixed', '--processes', '3')).stderr, /^scenario mixed needs 4 processes, not 3$/m)
  t.regex((await stress('--seconds', '0')).stderr, /^--seconds must be a whole number from 1 on/)
})

/** What is said of a process that has so much memory at each look, one a second. */
function watched(rss: (i: number) => number): string[] {
  const watch = new Watch()
  for (let i = 0; i < 30; i++)
    watch.add(
      new Map([['one', { messages: i, rssBytes: rss(i), descriptors: 20 }]]),
      { memoryBytes: 0, usedBytes: 0 },
      i,
    )
  return growing(watch.growth!, boundsOf(8, 1))
}
