// What the server tells the page: events of one stream, and answers to two questions.
import type { View } from '../figures/view.js'

/** Something that has happened. */
export interface LogEntry {
  /** Rises by 1 from entry to entry. */
  readonly id: number
  /** When it happened, if the domain says that, else when it was seen; in ms since the Unix epoch. */
  readonly atMs: number
  /** `trouble`: it costs somebody something, or stops somebody. */
  readonly level: 'note' | 'trouble'
  /** What kind of thing, in a word or two. */
  readonly kind: string
  /** The domain, or the thing in it. */
  readonly place: string
  readonly message: string
}

/** Values of a spark when an hour is full. */
export const SPARK_VALUES = 120

/** Messages sent a second in the last hour by series, oldest first; null: nobody looked. */
export type Sparks = Readonly<Record<string, readonly (number | null)[]>>

/** Data of the events of the stream, by their names. */
export interface Events {
  /** With every look. */
  readonly view: View
  /** What has happened since the last one; the first has all that is kept. */
  readonly log: readonly LogEntry[]
  /** With the stream's first, and with every point of history. */
  readonly sparks: Sparks
}

/** An hour of one series, oldest first; null: nobody looked, or it was not there. */
export interface Chart {
  /** Ends of the times that the points are about, in s since the Unix epoch. */
  readonly times: readonly number[]
  /** Most messages that were in it. */
  readonly depth: readonly (number | null)[]
  readonly sentPerSecond: readonly (number | null)[]
  readonly receivedPerSecond: readonly (number | null)[]
  readonly droppedPerSecond: readonly (number | null)[]
}

/** Who sends what to whom in a domain, in pixels. */
export interface Graph {
  readonly width: number
  readonly height: number
  readonly nodes: readonly GraphNode[]
  /** The points that each goes over. */
  readonly edges: readonly (readonly (readonly [x: number, y: number])[])[]
  /** Things there are when they are too many to draw; else 0. */
  readonly tooMany: number
}

/** A participant, or a queue of whatever kind, by its middle. */
export interface GraphNode {
  /** Series of a queue; null: a participant. */
  readonly series: string | null
  readonly lines: readonly string[]
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Name of the series of a queue of whatever kind, or of a topic. */
export function seriesOf({ kind, place }: { kind: string; place: string }): string {
  return `${kind} ${place}`
}
