// Charts as SVG, written by hand: bars and lines on a linear or logarithmic axis, readable on light and dark pages.
import { number } from './table.js'

/** A line, or a set of bars: a value for each of the chart's places, undefined where there is none. */
export interface Series {
  readonly name: string
  readonly values: readonly (number | undefined)[]
}

/** What is drawn. */
export interface Chart {
  readonly title: string
  /** What the values are, with their unit. */
  readonly axis: string
  readonly places: readonly string[]
  readonly series: readonly Series[]
  readonly logarithmic: boolean
}

const WIDTH = 760
const HEIGHT = 400
const LEFT = 70
const RIGHT = 210
const TOP = 44
const BOTTOM = 50
const COLOURS = ['#0b7285', '#e8590c', '#5f3dc4', '#2b8a3e', '#c2255c', '#868e96', '#f08c00', '#1864ab', '#66a80f']

/** The values of each series as a line over the places, which are evenly spaced. */
export function lineChart(chart: Chart): string {
  const { places, series } = chart
  const y = scaleOf(chart)
  const x = (place: number) => LEFT + ((place + 0.5) / places.length) * (WIDTH - LEFT - RIGHT)
  const lines = series.map(({ values }, i) => {
    const points = values.flatMap((value, place) => (value === undefined ? [] : [[x(place), y(value)] as const]))
    const path = points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(' ')
    const dots = points.map(
      ([px, py]) => `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="3" fill="${colour(i)}"/>`,
    )
    // Many places are a curve.
    if (places.length > 12) dots.length = 0
    return `<polyline points="${path}" fill="none" stroke="${colour(i)}" stroke-width="${i === 0 ? 3 : 1.6}"/>${dots.join('')}`
  })
  return frame(chart, [...lines, ...labels(places, x)])
}

/** The values of each series as bars side by side at each place. */
export function barChart(chart: Chart): string {
  const { places, series } = chart
  const y = scaleOf(chart)
  const slot = (WIDTH - LEFT - RIGHT) / places.length
  const bar = (slot * 0.8) / series.length
  const x = (place: number) => LEFT + (place + 0.5) * slot
  const bars = series.flatMap(({ values }, i) =>
    values.map((value, place) => {
      if (value === undefined) return ''
      const left = x(place) - slot * 0.4 + i * bar
      const top = y(value)
      const height = HEIGHT - BOTTOM - top
      return `<rect x="${left.toFixed(1)}" y="${top.toFixed(1)}" width="${Math.max(1, bar - 1).toFixed(1)}" height="${height.toFixed(1)}" fill="${colour(i)}"/>`
    }),
  )
  return frame(chart, [...bars, ...labels(places, x)])
}

function colour(i: number): string {
  return COLOURS[i % COLOURS.length]!
}

/** The bounds of the axis: whole powers of ten, or 0 and a little more than the largest value. */
function boundsOf({ series, logarithmic }: Chart): [number, number] {
  const values = series.flatMap((each) => each.values.filter((value) => value !== undefined && value > 0)) as number[]
  if (values.length === 0) return [0.1, 1]
  const [min, max] = [Math.min(...values), Math.max(...values)]
  if (logarithmic) return [10 ** Math.floor(Math.log10(min)), 10 ** Math.ceil(Math.log10(max * 1.01))]
  return [0, max * 1.1]
}

function scaleOf(chart: Chart): (value: number) => number {
  const [min, max] = boundsOf(chart)
  const share = (value: number) =>
    chart.logarithmic ? Math.log10(Math.max(value, min) / min) / Math.log10(max / min) : value / max
  return (value) => HEIGHT - BOTTOM - share(value) * (HEIGHT - TOP - BOTTOM)
}

function frame(chart: Chart, content: readonly string[]): string {
  const y = scaleOf(chart)
  const grid = ticksOf(chart).map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="#868e96" stroke-opacity="0.3"/>` +
      `<text x="${LEFT - 8}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${short(value)}</text>`,
  )
  const legend = chart.series.map(
    ({ name }, i) =>
      `<rect x="${WIDTH - RIGHT + 16}" y="${TOP + i * 20}" width="12" height="12" fill="${colour(i)}"/>` +
      `<text x="${WIDTH - RIGHT + 34}" y="${TOP + i * 20 + 10}">${escape(name)}</text>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#868e96">`,
    `<text x="${LEFT}" y="20" font-size="15" font-weight="600">${escape(chart.title)}</text>`,
    `<text x="${LEFT}" y="${TOP - 8}">${escape(chart.axis)}</text>`,
    ...grid,
    ...content,
    ...legend,
    '</svg>',
    '',
  ].join('\n')
}

function ticksOf(chart: Chart): number[] {
  const [min, max] = boundsOf(chart)
  if (!chart.logarithmic) return [0, 0.25, 0.5, 0.75, 1].map((share) => share * max)
  const decades = Math.round(Math.log10(max / min))
  return Array.from({ length: decades + 1 }, (_, i) => min * 10 ** i)
}

/** At most about ten of them, or they would lie on each other. */
function labels(places: readonly string[], x: (place: number) => number): string[] {
  const step = Math.ceil(places.length / 10)
  return places.map((name, place) =>
    place % step === 0
      ? `<text x="${x(place).toFixed(1)}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${escape(name)}</text>`
      : '',
  )
}

function short(value: number): string {
  for (const [unit, prefix] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (value >= unit) return `${number(value / unit)} ${prefix}`
  }
  return number(value)
}

/** Text as it may stand in XML. */
export function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
