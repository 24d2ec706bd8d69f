// What the table of instruments is made of: things of a kind, and how each instrument is read off their numbers.
import type { Snapshot } from '../session/snapshot.js'
import type { Attributes, Thing } from './things.js'

/** What is measured. Names and units are OpenTelemetry's; those of Prometheus follow from them. */
export interface Instrument {
  /** Its name, such as `messaging.client.sent.messages`. */
  readonly name: string
  /** Whether it counts what has happened (`counter`), or how much there is now (`updowncounter`). */
  readonly kind: 'counter' | 'updowncounter'
  /** `By`, bytes; or what is counted, in braces. */
  readonly unit: string
  /** What it means, in a sentence. */
  readonly description: string
}

/** A value of an instrument. */
export interface Point {
  readonly attributes: Attributes
  readonly value: number
}

/** An instrument, and how it is read off the numbers of a thing. */
interface Measure<S> extends Instrument {
  /** Its own, beside those of the thing. */
  readonly attributes?: Attributes
  readonly value: (stats: S) => number
}

/** Things of a kind, and what is measured of each. */
export interface Group {
  readonly title: string
  /** Attributes that tell the things of a domain apart. */
  readonly labels: readonly string[]
  readonly instruments: readonly Instrument[]
  /** The values of each instrument, in the order of these. */
  readonly points: (snapshot: Snapshot) => Point[][]
}

/** Makes one of the things that `thingsIn` finds. */
export function group<S>(
  title: string,
  labels: readonly string[],
  thingsIn: (snapshot: Snapshot) => Thing<S>[],
  instruments: readonly Measure<S>[],
): Group {
  return {
    title,
    labels,
    instruments,
    points(snapshot) {
      const common = { 'messaging.system': 'millrace', 'millrace.domain': snapshot.domain }
      const things = thingsIn(snapshot)
      return instruments.map(({ attributes: own, value }) =>
        summed(
          things.map(({ attributes, stats }) => ({
            attributes: { ...common, ...own, ...attributes },
            value: value(stats),
          })),
        ),
      )
    },
  }
}

/** Values with the same attributes added up: a participant may have several subscriptions of a topic that have no name. */
function summed(points: readonly Point[]): Point[] {
  const sums = new Map<string, Point>()
  for (const { attributes, value } of points) {
    const key = JSON.stringify(attributes)
    sums.set(key, { attributes, value: value + (sums.get(key)?.value ?? 0) })
  }
  return [...sums.values()]
}
