// How many messages pass in a second.
import type { Option } from './command.js'
import { pause } from './follow.js'
import { countedIn, snapshotOf, type Things } from './place.js'
import { MillraceError, type QueueStats } from '../index.js'

/** Options of what shows rates. */
export const INTERVAL_OPTIONS = {
  interval: { value: '<ms>', summary: 'time that each line is about; default: 1000' },
  count: { value: '<n>', summary: 'lines to print; default: until interrupted' },
} as const satisfies Record<string, Option>

/** What has passed in a second. */
export interface Rates {
  /** Milliseconds that this is about. */
  ms: number
  /** Messages accepted, or published. */
  sent: number
  /** Messages taken: of a topic by all its subscribers together. */
  received: number
  /** Messages lost to an overflow policy. */
  dropped: number
  /** Messages in it now: of a topic, in all its subscriptions together. */
  depth: number
}

/** Counts so far, and when they were read. */
interface Reading extends Omit<Rates, 'ms'> {
  readonly at: number
}

/** Rates over each `interval` (in ms) until `signal` is aborted, or there is nothing to look at any more. Takes part in nothing. */
export async function* ratesOf(
  domain: string,
  name: string,
  where: { directory?: string },
  interval: number,
  signal: AbortSignal,
): AsyncGenerator<Rates> {
  let last = read(domain, name, where)
  for (;;) {
    await pause(interval, signal)
    const now = signal.aborted ? null : readIfThere(domain, name, where)
    if (now === null) return
    const ms = now.at - last.at
    const rate = (what: 'sent' | 'received' | 'dropped') => ((now[what] - last[what]) / ms) * 1000
    yield { ms, sent: rate('sent'), received: rate('received'), dropped: rate('dropped'), depth: now.depth }
    last = now
  }
}

function read(domain: string, name: string, where: { directory?: string }): Reading {
  const things = countedIn(snapshotOf(domain, where), name)
  return { ...countsOf(things), at: performance.now() }
}

function readIfThere(domain: string, name: string, where: { directory?: string }): Reading | null {
  try {
    return read(domain, name, where)
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_MILLRACE_NOT_FOUND') return null
    throw error
  }
}

function countsOf({ queue, topic }: Things): Omit<Rates, 'ms'> {
  const queues: QueueStats[] = queue === undefined ? topic!.subscriptions : [queue]
  const sum = (what: 'received' | 'dropped' | 'depth') => queues.reduce((total, one) => total + one[what], 0)
  const sent = queue?.sent ?? topic!.published
  return { sent, received: sum('received'), dropped: sum('dropped'), depth: sum('depth') }
}
