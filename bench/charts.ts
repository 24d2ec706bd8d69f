// `npm run bench:charts [-- FILE]`: draws docs/charts/*.svg and the tables of docs/performance.md and README.md from a result
// file, the newest complete one if none is named, and writes its summary to bench/releases. No figure gets into the documents in
// another way. Flows have a section of their own: a run of their scenarios alone replaces that, and nothing else.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { releasesFolder, resultsFolder, root } from './lib/paths.js'
import type { ContenderResult, Report, RowResult } from './lib/result.js'
import { SIZES, slug } from './lib/sizes.js'
import { summaryOf } from './lib/summary.js'
import { barChart, type Chart, lineChart } from './lib/svg.js'
import { markdownOf, type Part, readmeTable, replaceSection } from './lib/markdown.js'

const file = process.argv[2] === undefined ? newest() : resolve(process.argv[2])
const report = read(file)
const rows = new Map(report.rows.map((row) => [row.id, row]))
const folder = join(root, 'docs', 'charts')

const performance = join(root, 'docs', 'performance.md')
const isFlow = ({ scenario }: RowResult) => scenario.startsWith('flow')
const flows = report.rows.filter(isFlow)
const core = report.rows.filter((row) => !isFlow(row))

if (core.length > 0) await writeCore()
if (flows.length > 0) await update(performance, 'flows', markdownOf({ ...report, rows: flows }))
console.log(`drawn from ${file}`)

async function writeCore(): Promise<void> {
  mkdirSync(folder, { recursive: true })
  draw('throughput-by-size', throughputBySize(), lineChart)
  draw('throughput-by-size-batches', throughputBySizeBatches(), lineChart)
  draw('round-trip', latencyHistogram('round-trip-parked'), lineChart)
  draw('crowds', crowds(), barChart)
  draw(
    'queues',
    barsOf('queues', 'Messages per second by queues', 'messages/s; queues in turn, batches of 4'),
    barChart,
  )
  draw(
    'participants',
    barsOf('participants', 'Messages per second by participants', 'messages/s; the others wait in the same domain'),
    barChart,
  )
  await update(performance, 'core', markdownOf({ ...report, rows: core }))
  await update(join(root, 'README.md'), 'core', readmeTable(report))
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  mkdirSync(releasesFolder, { recursive: true })
  writeFileSync(join(releasesFolder, `${version}.json`), summaryOf(report))
}

function newest(): string {
  const files = readdirSync(resultsFolder).filter((name) => name.endsWith('.json'))
  const dated = files.map((name) => ({ path: join(resultsFolder, name), date: read(join(resultsFolder, name)).date }))
  const [last] = dated.toSorted((a, b) => b.date.localeCompare(a.date))
  if (last === undefined) throw new Error(`there is no result file in ${resultsFolder}: npm run bench`)
  return last.path
}

function read(path: string): Report {
  return JSON.parse(readFileSync(path, 'utf8')) as Report
}

function draw(name: string, chart: Chart, how: (chart: Chart) => string): void {
  const title = chart.series.length > 0 ? chart.title : `${chart.title}: not measured in this run`
  writeFileSync(join(folder, `${name}.svg`), how({ ...chart, title }))
}

async function update(path: string, part: Part, section: string): Promise<void> {
  const text = replaceSection(readFileSync(path, 'utf8'), part, section)
  writeFileSync(path, await format(text, { ...(await resolveConfig(path)), filepath: path }))
}

function measured({ contenders }: RowResult): ContenderResult[] {
  return contenders.filter(({ skipped }) => skipped === undefined)
}

/** One series for each contender, over the sizes. */
function throughputBySize(): Chart {
  const bySize = SIZES.map((size) => rows.get(`copied-${slug(size)}`))
  const handed = rows.get('handover-by-size')
  const names = new Set(bySize.flatMap((row) => (row === undefined ? [] : measured(row).map(({ name }) => name))))
  return {
    title: 'Messages per second by size, one call per message',
    axis: 'messages/s, logarithmic; "handed over": filled buffers go round, 16 of them',
    places: SIZES.map(({ name }) => name),
    logarithmic: true,
    series: [
      ...[...names].map((name) => ({ name, values: bySize.map((row) => row && valueOf(row, name)) })),
      { name: 'Millrace, handed over', values: SIZES.map(({ name }) => handed && valueOf(handed, name)) },
    ],
  }
}

function throughputBySizeBatches(): Chart {
  const sizes = SIZES.filter((size) => rows.has(`copied-${slug(size)}-batches`))
  const bySize = sizes.map((size) => rows.get(`copied-${slug(size)}-batches`)!)
  const names = new Set(bySize.flatMap((row) => measured(row).map(({ name }) => name)))
  return {
    title: 'Messages per second by size, batches',
    axis: 'messages/s, logarithmic',
    places: sizes.map(({ name }) => name),
    logarithmic: true,
    series: [...names].map((name) => ({ name, values: bySize.map((row) => valueOf(row, name)) })),
  }
}

/** Share of the round trips in each bucket. */
function latencyHistogram(id: string): Chart {
  const row = rows.get(id)
  const timed = row === undefined ? [] : measured(row).filter(({ latency }) => latency !== undefined)
  const buckets = timed.flatMap(({ latency }) => latency!.buckets.map(([from]) => Math.round(Math.log2(from) * 8)))
  const [first, last] = [Math.min(...buckets), Math.min(Math.max(...buckets), Math.round(Math.log2(2000) * 8))]
  const places = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i)
  return {
    title: row?.title ?? '',
    axis: '% of the round trips, by duration in µs (eight buckets for each doubling)',
    places: places.map((bucket) => String(Math.round(2 ** (bucket / 8)))),
    logarithmic: false,
    series: timed.map(({ name, latency }) => {
      const share = new Map(
        latency!.buckets.map(([from, n]) => [Math.round(Math.log2(from) * 8), (n / latency!.count) * 100]),
      )
      return { name, values: places.map((bucket) => share.get(bucket) ?? 0) }
    }),
  }
}

function crowds(): Chart {
  return {
    title: 'Messages per second by producers and consumers',
    axis: 'messages/s; 64 B copied in, batches of 64; n = 1, 2, 4, 8',
    places: ['n = 1', 'n = 2', 'n = 4', 'n = 8'],
    logarithmic: false,
    series: [
      { id: 'shape-n-1', name: 'n producers, 1 consumer' },
      { id: 'shape-1-n', name: '1 producer, n consumers' },
      { id: 'shape-n-n', name: 'n producers, n consumers' },
    ].flatMap(({ id, name }) => series(id, name)),
  }
}

/** A bar for each contender of a row. */
function barsOf(id: string, title: string, axis: string): Chart {
  const row = rows.get(id)
  const values = row === undefined ? [] : measured(row)
  return {
    title,
    axis,
    places: values.map(({ name }) => name),
    logarithmic: false,
    series: values.length === 0 ? [] : [{ name: 'Millrace', values: values.map(({ median }) => median) }],
  }
}

function series(id: string, name: string): Chart['series'] {
  const row = rows.get(id)
  return row === undefined ? [] : [{ name, values: row.contenders.map(({ median }) => median) }]
}

function valueOf(row: RowResult, name: string): number | undefined {
  return measured(row).find((result) => result.name === name)?.median
}
