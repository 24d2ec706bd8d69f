// `millrace/metrics`: the numbers of domains with real processes in them, as OpenMetrics and as OpenTelemetry have them.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import test from 'ava'
import { type ShmManager, ShmObserver } from '../../index.js'
import { grafanaDashboard, INSTRUMENTS, type ObservingMeter, openMetrics, registerInstruments } from '../../metrics.js'
import { ROOT, tableOf } from '../helpers/documents.js'
import { type TestDirectory, testDirectory } from '../helpers/directory.js'
import { openDomain } from '../helpers/domain.js'
import { throwsCode } from '../helpers/errors.js'
import { type Family, familiesIn } from '../helpers/open-metrics.js'

interface Collected {
  errors: unknown[]
  resourceMetrics: {
    scopeMetrics: {
      metrics: {
        descriptor: { name: string; unit: string; description: string }
        dataPoints: { attributes: object; value: number }[]
      }[]
    }[]
  }
}

interface Reader {
  collect(): Promise<Collected>
}

/** What is used of the SDK. */
const { InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } = createRequire(import.meta.url)(
  '@opentelemetry/sdk-metrics',
) as {
  InMemoryMetricExporter: new (temporality: number) => object
  PeriodicExportingMetricReader: new (options: { exporter: object; exportIntervalMillis: number }) => Reader
  MeterProvider: new (options?: { readers: Reader[] }) => {
    getMeter(name: string): ObservingMeter<object>
    shutdown(): Promise<void>
  }
}
const CUMULATIVE = 1

/** Values of a family by the label that tells its things apart. */
function valuesOf(families: readonly Family[], name: string, label: string): Record<string, number> {
  const family = families.find((one) => one.name === name)
  return Object.fromEntries(family?.samples.map(({ labels, value }) => [labels[label], value]) ?? [])
}

/** A domain with messages everywhere, one participant that sits on three of them, and one that died with two. */
async function busyDomain(directory: TestDirectory): Promise<ShmManager> {
  const shm = directory.open('busy', { name: 'the "test"\\', maxBytes: 2 ** 24 })
  const queue = shm.portQueue('queue', { capacity: 4 })
  for (let i = 0; i < 2; i++) queue.tryPut(Buffer.from('x'))
  const lost = once(shm, 'participant-lost')
  await (await directory.start('busy')).kill()
  await lost
  for (let i = 0; i < 3; i++) queue.tryPut(Buffer.from('x'))
  await directory.start('busy')
  const full = shm.portQueue('full', { capacity: 4, overflow: 'drop-newest' })
  for (let i = 0; i < 5; i++) full.tryPut(Buffer.from('x'))
  const news = shm.topic('news', { history: 2 })
  for (let i = 0; i < 2; i++) news.subscribe({ capacity: 8 })
  for (let i = 0; i < 3; i++) news.tryPut(Buffer.from('x'))
  return shm
}

test('OpenMetrics: every number of a domain, after a death too', async (t) => {
  const shm = await busyDomain(testDirectory(t))
  const snapshot = shm.registry.snapshot()
  const families = familiesIn(openMetrics(snapshot))
  const byName = (name: string) => valuesOf(families, name, 'messaging_destination_name')
  t.deepEqual(byName('messaging_client_sent_messages'), { queue: 5, full: 5, news: 3 })
  // Of the queue; of both subscriptions together, which have no name.
  t.deepEqual(byName('messaging_client_consumed_messages'), { queue: 5, full: 0, news: 0 })
  t.deepEqual(byName('millrace_queue_depth'), { queue: 0, full: 4, news: 6 })
  t.deepEqual(byName('millrace_queue_dropped_messages'), { queue: 0, full: 1, news: 0 })
  t.deepEqual(byName('millrace_topic_subscriptions'), { news: 2 })
  t.deepEqual(byName('millrace_topic_kept'), { news: 2 })
  const byDomain = (name: string) => valuesOf(families, name, 'millrace_domain')
  t.deepEqual(byDomain('millrace_domain_deaths'), { busy: 1 })
  t.deepEqual(byDomain('millrace_domain_lost_messages'), { busy: 2 })
  t.deepEqual(byDomain('millrace_domain_limit_bytes'), { busy: 2 ** 24 })
  t.deepEqual(byDomain('millrace_domain_used_bytes'), { busy: snapshot.usedBytes })
  t.is(families.find(({ name }) => name === 'millrace_domain_used_bytes')!.unit, 'bytes')
  const held = snapshot.participants.map(({ name, held: references }) => [name, references] as const)
  t.is(held[0]![0], 'the "test"\\')
  const told = valuesOf(families, 'millrace_participant_held', 'millrace_participant_name')
  t.deepEqual(told, Object.fromEntries(held))
  t.true(families.every(({ help, samples }) => help !== '' && samples.length > 0))
})

test('OpenTelemetry: the same numbers by its SDK, until it is closed', async (t) => {
  const shm = await busyDomain(testDirectory(t))
  const exporter = new InMemoryMetricExporter(CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 })
  const provider = new MeterProvider({ readers: [reader] })
  t.teardown(() => provider.shutdown())
  let reads = 0
  // What other processes do meanwhile is in one of two snapshots.
  const snapshot = shm.registry.snapshot()
  const registration = registerInstruments(provider.getMeter('millrace'), () => {
    reads++
    return snapshot
  })
  const { resourceMetrics, errors } = await reader.collect()
  t.deepEqual(errors, [])
  t.is(reads, 1)
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics)
  const there = metrics.map(({ descriptor: { name, unit, description } }) => ({ name, unit, description }))
  t.deepEqual(there, INSTRUMENTS.map(plain))
  const collected = metrics.map(({ descriptor: { name }, dataPoints }) => [
    name.replaceAll('.', '_'),
    dataPoints.map(({ attributes, value }) => [labelsOf(attributes), value]),
  ])
  const text = familiesIn(openMetrics(snapshot)).map(({ name, unit, samples }) => [
    unit === null ? name : name.slice(0, -unit.length - 1),
    samples.map(({ labels, value }) => [labels, value]),
  ])
  t.deepEqual(collected, text)
  registration.close()
  registration.close()
  await reader.collect()
  t.is(reads, 1, 'it reads no more')
})

function plain({ name, unit, description }: { name: string; unit: string; description: string }) {
  return { name, unit, description }
}

function labelsOf(attributes: object): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name.replaceAll('.', '_'), `${value}`]))
}

test('snapshots of a whole directory: of the living and the dead, and what cannot be read is left out', async (t) => {
  const directory = testDirectory(t)
  const { path } = directory
  directory.open('alive')
  directory.open('kept', { persist: true }).close()
  directory.open('damaged', { persist: true }).close()
  rmSync(join(path, 'damaged', 'registry'))
  await (await directory.start('dead')).kill()
  const before = directory.contents('dead')
  const snapshots = ShmObserver.snapshots({ directory: path })
  t.deepEqual(
    snapshots.map(({ domain, participants }) => [domain, participants.length]),
    [
      ['alive', 1],
      ['dead', 1],
      ['kept', 0],
    ],
  )
  t.deepEqual(directory.contents('dead'), before)
  const used = valuesOf(familiesIn(openMetrics(snapshots)), 'millrace_domain_participants', 'millrace_domain')
  t.deepEqual(used, { alive: 1, dead: 1, kept: 0 })
  t.deepEqual(familiesIn(openMetrics([])), [])
})

test('two domains of one name, and arguments that are wrong, are refused', (t) => {
  const snapshot = openDomain(t).registry.snapshot()
  throwsCode(t, () => openMetrics([snapshot, snapshot]), 'ERR_MILLRACE_INVALID_ARGUMENT', snapshot.domain)
  throwsCode(t, () => registerInstruments(null as never, () => []), 'ERR_MILLRACE_INVALID_ARGUMENT', 'meter')
  const meter = new MeterProvider().getMeter('millrace')
  throwsCode(t, () => registerInstruments(meter, 7 as never), 'ERR_MILLRACE_INVALID_ARGUMENT', 'read')
})

test('docs/metrics.md lists every instrument as it is', (t) => {
  const rows = INSTRUMENTS.map(({ name, kind, unit, description }) => [`\`${name}\``, kind, `\`${unit}\``, description])
  t.deepEqual(tableOf('docs/metrics.md', '| instrument'), rows)
})

interface Panel {
  type: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { expr: string }[]
}

test('the dashboard has a panel for every instrument, by the names that the text has', async (t) => {
  const shm = await busyDomain(testDirectory(t))
  const text = openMetrics(shm.registry.snapshot())
  const { panels } = JSON.parse(JSON.stringify(grafanaDashboard())) as { panels: Panel[] }
  const asked = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => /(\w+)\{/.exec(expr)![1]!))
  t.is(asked.length, INSTRUMENTS.length)
  const samples = familiesIn(text).flatMap((family) => family.samples[0]!.name)
  t.deepEqual(asked, samples)
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
  )
  t.is(new Set(cells).size, cells.length, 'panels lie on each other')
})

test('it is there for require(), too, and needs nothing else', (t) => {
  const program = `
    const { openMetrics } = require('millrace/metrics')
    const { ShmObserver } = require('millrace')
    process.stdout.write(openMetrics(ShmObserver.snapshots({ directory: '/nowhere/at/all' })))`
  const args = ['--input-type=commonjs', '--eval', program]
  t.is(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' }), '# EOF\n')
})
