// An hour of figures in memory of a fixed size: a ring of points for each queue, each topic, and each domain.
import type { View } from '../figures/view.js'
import { type Chart, seriesOf, SPARK_VALUES, type Sparks } from './protocol.js'

/** Time between two points. */
export const POINT_MS = 10_000
/** An hour of them. */
export const POINTS = 360
/** Series that are kept; those that come later have none. Of 5760 bytes each: 5.5 MiB together. */
export const SERIES_MAX = 1000
/** Points that are one value of a spark. */
const POINTS_OF_SPARK = POINTS / SPARK_VALUES
/** Looks come a little early or late. */
const TOLERANCE_MS = 500

/** What a point has: the most of the depth, and means of the rates. */
const COLUMNS = ['depth', 'sentPerSecond', 'receivedPerSecond', 'droppedPerSecond'] as const

/** Figures of one series in one look. */
type Figures = Readonly<Record<(typeof COLUMNS)[number], number | null>>

/** One series. */
interface Series {
  /** Points of each column one behind the other; NaN: there is none. */
  readonly points: Float32Array
  /** What the next point will be made of: the most of the first column, of the others sums over seconds. */
  readonly next: Float64Array
}

/** The last hour. */
export class History {
  readonly #times = new Float64Array(POINTS).fill(Number.NaN)
  readonly #series = new Map<string, Series>()
  /** Points so far. */
  #count = 0
  /** Seconds that the next point is about so far. */
  #seconds = 0

  /** Takes what a look has found; returns whether that has made a point. `nowMs`: in ms since the Unix epoch. */
  add(view: View, nowMs: number): boolean {
    const figures = figuresOf(view)
    for (const name of this.#series.keys()) if (!figures.has(name)) this.#series.delete(name)
    for (const [name, each] of figures) {
      const series = this.#series.get(name) ?? this.#made(name)
      if (series !== undefined) collect(series.next, each, view.seconds)
    }
    this.#seconds += view.seconds
    if (this.#seconds * 1000 < POINT_MS - TOLERANCE_MS) return false
    this.#point(nowMs)
    return true
  }

  /** The series of that name; null: there is none. */
  chart(name: string): Chart | null {
    const series = this.#series.get(name)
    if (series === undefined) return null
    const order = this.#order()
    const column = (at: number) => order.map((point) => shown(series.points[at * POINTS + point]!))
    const [depth, sentPerSecond, receivedPerSecond, droppedPerSecond] = COLUMNS.map((_, at) => column(at))
    return {
      times: order.map((point) => this.#times[point]! / 1000),
      depth: depth!,
      sentPerSecond: sentPerSecond!,
      receivedPerSecond: receivedPerSecond!,
      droppedPerSecond: droppedPerSecond!,
    }
  }

  /** Messages sent a second of all series, some points to one: the most of them. */
  sparks(): Sparks {
    const order = this.#order()
    const groups: number[][] = []
    // From the newest on: the oldest may be fewer.
    for (let end = order.length; end > 0; end -= POINTS_OF_SPARK) {
      groups.unshift(order.slice(Math.max(end - POINTS_OF_SPARK, 0), end))
    }
    const sent = COLUMNS.indexOf('sentPerSecond') * POINTS
    const most = (points: Float32Array) => (group: number[]) => {
      const there = group.map((point) => points[sent + point]!).filter((value) => !Number.isNaN(value))
      return there.length === 0 ? null : shown(Math.max(...there))
    }
    return Object.fromEntries([...this.#series].map(([name, { points }]) => [name, groups.map(most(points))]))
  }

  #made(name: string): Series | undefined {
    if (this.#series.size >= SERIES_MAX) return undefined
    const points = new Float32Array(COLUMNS.length * POINTS).fill(Number.NaN)
    const series = { points, next: new Float64Array(COLUMNS.length).fill(Number.NaN) }
    this.#series.set(name, series)
    return series
  }

  #point(nowMs: number): void {
    const point = this.#count++ % POINTS
    this.#times[point] = nowMs
    for (const { points, next } of this.#series.values()) {
      COLUMNS.forEach((_, at) => (points[at * POINTS + point] = at === 0 ? next[at]! : next[at]! / this.#seconds))
      next.fill(Number.NaN)
    }
    this.#seconds = 0
  }

  /** Where points are, oldest first. */
  #order(): number[] {
    const length = Math.min(this.#count, POINTS)
    return Array.from({ length }, (_, at) => (this.#count - length + at) % POINTS)
  }
}

function collect(next: Float64Array, figures: Figures, seconds: number): void {
  COLUMNS.forEach((column, at) => {
    const value = figures[column]
    if (value === null) return
    const before = next[at]!
    const isFirst = Number.isNaN(before)
    if (at === 0) next[at] = isFirst ? value : Math.max(before, value)
    else next[at] = (isFirst ? 0 : before) + value * seconds
  })
}

/** By series: what is in the view of each queue, and of all of a domain together. */
function figuresOf({ domains, queues, participants }: View): Map<string, Figures> {
  const figures = new Map<string, Figures>(queues.map((row) => [seriesOf(row), row]))
  for (const { domain } of domains) {
    const there = queues.filter(({ place }) => place.startsWith(`${domain}/`))
    const who = participants.filter((one) => one.domain === domain)
    figures.set(seriesOf({ kind: 'domain', place: domain }), {
      depth: sum(there, ({ depth }) => depth ?? 0),
      sentPerSecond: sum(who, (one) => one.sentPerSecond),
      receivedPerSecond: sum(who, (one) => one.receivedPerSecond),
      droppedPerSecond: sum(there, (one) => one.droppedPerSecond),
    })
  }
  return figures
}

function sum<R>(rows: readonly R[], valueOf: (row: R) => number): number {
  return rows.reduce((total, row) => total + valueOf(row), 0)
}

/** A value as the page gets it: short in JSON, and null where there is none. */
function shown(value: number): number | null {
  return Number.isNaN(value) ? null : Math.round(value * 10) / 10
}
