// What a sink of several numbered streams has got, each counted once, or again.
import type { BufferPtr } from '../../index.js'

/** What came of one source. */
export interface Came {
  /** Messages that came, each counted once. */
  distinct: number
  /** The number after that of the last one that came. */
  next: number
  /** Messages that came again. */
  again: number
  /** Of these, those that were marked. */
  marked: number
  /** Messages that came for the first time after one with a higher number. */
  late: number
}

/** Counts what comes of so many sources, by `source` and `sequence` of each message. */
export class Arrivals {
  readonly came: Came[]
  /** Of each source the numbers below `next` that have not come. */
  readonly #holes: Set<number>[]
  total = 0

  constructor(sources: number) {
    const zeros = Array.from({ length: sources }, () => 0)
    this.came = zeros.map(() => ({ distinct: 0, next: 0, again: 0, marked: 0, late: 0 }))
    this.#holes = zeros.map(() => new Set())
  }

  see({ source, sequence }: Pick<BufferPtr, 'source' | 'sequence'>, marked: boolean): void {
    const came = this.came[source]!
    const holes = this.#holes[source]!
    const number = Number(sequence)
    this.total++
    if (number >= came.next) {
      for (let hole = came.next; hole < number; hole++) holes.add(hole)
      came.next = number + 1
      came.distinct++
    } else if (holes.delete(number)) {
      came.distinct++
      came.late++
    } else {
      came.again++
      if (marked) came.marked++
    }
  }
}
