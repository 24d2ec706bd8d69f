// What the processes of a run have, again and again, and whether that grows.
import type { Look } from './jobs.js'

/** One look at all of them. */
export interface Sample {
  /** Since the scenario began. */
  readonly seconds: number
  /** Messages so far, all together. */
  readonly messages: number
  readonly rssBytes: number
  readonly descriptors: number
  /** Memory of the domain that exists, and of that what is used. */
  readonly memoryBytes: number
  readonly usedBytes: number
}

/** By how much something grew while it was watched, by the straight line through the samples behind the warm-up. */
export interface Growth {
  /** How long that was. */
  readonly seconds: number
  /** Of the process in which each grew most. */
  readonly rssBytes: number
  readonly descriptors: number
  /** Of the domain. */
  readonly memoryBytes: number
}

type Bounds = Omit<Growth, 'seconds'>

/**
 * What may grow though nothing leaks, in a process with so many of the participants: V8's nursery and the allocator's pools; the doorbells of
 * others, which are opened when they are first rung; a segment.
 */
export function boundsOf(participants: number, inProcess: number): Bounds {
  return {
    rssBytes: inProcess * 96 * 2 ** 20,
    descriptors: inProcess * (8 + participants),
    memoryBytes: 32 * 2 ** 20,
  }
}

/** The first third is warm-up: pools are made, code is compiled, heaps come to their size. */
const WARM_UP = 1 / 3
/** With fewer samples there is no line. */
const SAMPLES_MIN = 4

interface OneLook extends Look {
  readonly seconds: number
}

/** Samples of a run. */
export class Watch {
  readonly samples: Sample[] = []
  readonly #looks = new Map<string, OneLook[]>()
  readonly #started = performance.now()

  /** Takes in how things are `seconds` after the beginning, now: each participant that answered by its name, and the domain. */
  add(
    looks: ReadonlyMap<string, Look>,
    domain: Pick<Sample, 'memoryBytes' | 'usedBytes'>,
    seconds = (performance.now() - this.#started) / 1e3,
  ): void {
    for (const [name, look] of looks) {
      const known = this.#looks.get(name) ?? []
      known.push({ seconds, ...look })
      this.#looks.set(name, known)
    }
    const sum = (pick: (look: Look) => number) => [...looks.values()].reduce((total, look) => total + pick(look), 0)
    this.samples.push({
      seconds,
      messages: sum(({ messages }) => messages),
      rssBytes: sum(({ rssBytes }) => rssBytes),
      descriptors: sum((look) => look.descriptors ?? 0),
      ...domain,
    })
  }

  /** null: it was not watched long enough. */
  get growth(): Growth | null {
    const settled = behindWarmUp(this.samples)
    if (settled.length < SAMPLES_MIN) return null
    const each = [...this.#looks.values()].map(behindWarmUp).filter(({ length }) => length >= SAMPLES_MIN)
    const most = (pick: (look: Look) => number) => Math.max(0, ...each.map((looks) => growthOf(looks, pick)))
    return {
      seconds: settled.at(-1)!.seconds - settled[0]!.seconds,
      rssBytes: most(({ rssBytes }) => rssBytes),
      descriptors: most((look) => look.descriptors ?? 0),
      memoryBytes: growthOf(settled, ({ memoryBytes }) => memoryBytes),
    }
  }
}

/** What grew by more than `bounds`, in words. */
export function growing(growth: Growth, bounds: Bounds): string[] {
  const each = Object.entries(bounds) as [keyof Bounds, number][]
  return each
    .filter(([what, bound]) => growth[what] > bound)
    .map(([what, bound]) => {
      const by = Math.round(growth[what])
      return `${what} grew by ${by} in ${Math.round(growth.seconds)} s, more than ${bound}`
    })
}

function behindWarmUp<S extends { seconds: number }>(samples: readonly S[]): S[] {
  const [begin, end] = [samples[0]?.seconds ?? 0, samples.at(-1)?.seconds ?? 0]
  return samples.filter(({ seconds }) => seconds >= begin + (end - begin) * WARM_UP)
}

/** By how much the line of least squares rises from the first to the last sample. */
function growthOf<S extends { seconds: number }>(samples: readonly S[], pick: (sample: S) => number): number {
  const [x, y] = [samples.map(({ seconds }) => seconds), samples.map(pick)]
  const [middle, level] = [meanOf(x), meanOf(y)]
  const spread = x.reduce((sum, seconds) => sum + (seconds - middle) ** 2, 0)
  const slope = x.reduce((sum, seconds, i) => sum + (seconds - middle) * (y[i]! - level), 0) / (spread || 1)
  return slope * (x.at(-1)! - x[0]!)
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
