// The report of a run as one HTML file: a table, charts, problems. It needs nothing besides.
import { escape, lineChart, type Series } from '../../bench/lib/svg.js'
import { bytes, short } from '../../cli/units.js'
import type { Report, Result } from './result.js'
import type { Sample } from './watch.js'

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 1600px; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #8884 }
td:first-child, th:first-child { text-align: left }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)) }
.bad { color: #e03131 } .good { color: #2f9e44 }
`

/** The page. */
export function pageOf(report: Report): string {
  const { results, machine, date, commit, modified, command } = report
  const failed = results.filter(({ problems }) => problems.length > 0).length
  return [
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Millrace: stress</title>',
    `<style>${STYLE}</style>`,
    '<h1>Millrace: stress</h1>',
    `<p class="${failed === 0 ? 'good' : 'bad'}">${results.length} scenarios, ${failed} with problems</p>`,
    `<p>${escape(`${date}, commit ${commit}${modified ? ' with changes' : ''}, ${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node.js ${machine.node}, load ${machine.load} when it began`)}</p>`,
    `<pre>${escape(command)}</pre>`,
    tableOf(
      [
        'scenario',
        'processes',
        's',
        'messages',
        'a second',
        'p50',
        'p99',
        'RSS grew',
        'descriptors grew',
        'baseline',
        'problems',
      ],
      results.map(rowOf),
    ),
    ...results.map(sectionOf),
    '</html>\n',
  ].join('\n')
}

function rowOf({
  scenario,
  processes,
  seconds,
  messages,
  perSecond,
  latency,
  growth,
  baseline,
  problems,
}: Result): string[] {
  return [
    `<a href="#${scenario}">${scenario}</a>`,
    `${processes}`,
    short(seconds),
    `${messages}`,
    short(perSecond),
    latency === null ? '-' : `${short(latency.p50)} µs`,
    latency === null ? '-' : `${short(latency.p99)} µs`,
    growth === null ? '-' : bytes(growth.rssBytes),
    growth === null ? '-' : short(growth.descriptors),
    baseline === null ? '-' : `${Math.round(baseline.perSecond * 100)} %`,
    `${problems.length}`,
  ]
}

function sectionOf({ scenario, title, samples, problems, participants }: Result): string {
  const failed = participants.filter(({ error }) => error !== null)
  return [
    `<h2 id="${scenario}">${scenario}</h2><p>${escape(title)}</p>`,
    ...problems.map((problem) => `<p class="bad">${escape(problem)}</p>`),
    samples.length < 2 ? '' : `<div class="charts">${chartsOf(samples).join('')}</div>`,
    '<details><summary>Participants</summary>',
    tableOf(
      ['participant', 'messages', 'ended'],
      participants.map((one) => [escape(one.name), `${one.messages}`, one.error === null ? 'well' : 'with an error']),
    ),
    '</details>',
    ...failed.map(({ name, error }) => `<h3>${escape(name)}</h3><pre>${escape(error!)}</pre>`),
  ].join('\n')
}

function chartsOf(samples: readonly Sample[]): string[] {
  const chart = (title: string, axis: string, series: readonly Series[]) =>
    lineChart({ title, axis, series, places: samples.map(({ seconds }) => `${short(seconds)} s`), logarithmic: false })
  const mib = (pick: (sample: Sample) => number) => samples.map((sample) => pick(sample) / 2 ** 20)
  return [
    chart('Messages', 'messages/s sent and received, all participants', [
      { name: 'messages/s', values: rates(samples) },
    ]),
    chart('Memory of the processes', 'MiB, all together; shared pages count in each', [
      { name: 'RSS', values: mib(({ rssBytes }) => rssBytes) },
    ]),
    chart('Shared memory', 'MiB of the domain', [
      { name: 'exists', values: mib(({ memoryBytes }) => memoryBytes) },
      { name: 'in use', values: mib(({ usedBytes }) => usedBytes) },
    ]),
    chart('Descriptors', 'open, all processes', [
      { name: 'descriptors', values: samples.map(({ descriptors }) => descriptors) },
    ]),
  ]
}

/** Of each sample, since the one before. Who has gone takes its count along. */
function rates(samples: readonly Sample[]): (number | undefined)[] {
  return samples.map((sample, i) => {
    const before = samples[i - 1]
    if (before === undefined || sample.messages < before.messages) return undefined
    return (sample.messages - before.messages) / (sample.seconds - before.seconds)
  })
}

function tableOf(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return `<table>${rowIn('th', headings)}${rows.map((cells) => rowIn('td', cells)).join('')}</table>`
}

function rowIn(tag: string, cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`
}
