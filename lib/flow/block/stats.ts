/** Where a block is in its life. */
export type BlockState = 'created' | 'running' | 'stopped' | 'failed'

/**
 * How old data was when it came to an input, in ms: the time since a native source had sent it, or the oldest of what it was made of, until
 * the call of work that took it began.
 */
export interface LatencyStats {
  /** Number of the source, which is made of its name: the same in every process. */
  source: number
  /** Name of the source: several in the rare case that they have one number; none: it is not in this scheduler. */
  from: string[]
  /** The input, as `block.port`. */
  to: string
  /** Messages of which this is known. */
  count: number
  /** Half of them were at most so old; up to 1/16 more than it was. */
  p50: number
  /** Of a hundred, 99 were at most so old. */
  p99: number
  /** The oldest. */
  max: number
}

/** What has been counted of one block. Times are in ms. */
export interface BlockStats {
  /** Its name. */
  name: string
  /** Where it is in its life. */
  state: BlockState
  /** What it failed of. */
  error: string | null
  /** Messages it has taken and dealt with; of a block without inputs, those it has sent. */
  items: number
  /** Messages it has taken and dealt with. */
  itemsIn: number
  /** Messages it has sent: one that goes to two queues counts twice. */
  itemsOut: number
  /** Calls of its work. */
  workCalls: number
  /** Messages that were dropped on their way to it. */
  gaps: number
  /** Messages that its work failed with and that were tried again. */
  retried: number
  /** Messages that its work failed with and that were let go of. */
  skipped: number
  /** Messages that its work failed with and that went to the dead letters. */
  deadLettered: number
  /** Messages that it had taken and not dealt with, or made and not sent, when it ended, and that nobody gets any more. */
  lost: number
  /** Messages that it sent and that nobody took. */
  undelivered: number
  /**
   * Time in work. This and the next three are together the time since the block was started, until it has ended: {@link activityBetween}
   * says what it did in each second between two reports.
   */
  busy: number
  /** Time without messages. */
  starved: number
  /** Time without room for what it sends, or without memory. */
  backpressured: number
  /** Other time. */
  idle: number
  /** How long the call of its work that is under way has taken so far; 0: none is. Of a block that does not return it grows. */
  working: number
  /** Half of the calls of its work took at most so long; up to 1/16 more than it was. */
  workP50: number
  /** Of a hundred calls of its work, 99 took at most so long. */
  workP99: number
  /** The longest call of its work. */
  workMax: number
  /** How old data was when it came here, by input and source; of blocks of JavaScript, it is not counted. */
  latencies: LatencyStats[]
  /** Counters of its own. */
  counters: Record<string, number>
}

/** What is in a link, or in a queue that a block is connected to, and what has been counted of it. */
export interface LinkStats {
  /** The outputs that send to it, as `block.port`; none: others do. */
  from: string[]
  /** The input that takes from it; null: others do. */
  to: string | null
  /** Name of the queue; of values by reference, which have none, that of the link. */
  queue: string
  /** Messages it can hold; 0: nobody has made it yet. */
  capacity: number
  /** Messages in it. */
  depth: number
  /** The most there were when a sender looked. */
  highWater: number
  /** Messages that were ever accepted, or dropped for want of room. */
  sent: number
  /** Messages that its overflow policy has dropped. */
  dropped: number
  /** Times that a sender has waited for room. */
  sendWaits: number
  /** Times that a receiver has waited for messages. */
  receiveWaits: number
  /** Age of the next message in ms, from when a native source has sent it or what it was made of; null: there is none, or no such source. */
  oldest: number | null
}

/** What has been counted of the blocks of a scheduler, and of their links. */
export interface Report {
  /** In the order in which they were added. */
  blocks: BlockStats[]
  /** By their inputs in that order. */
  links: LinkStats[]
}

/** What the addon counts of a block. */
export type CountedBlock = Omit<BlockStats, 'items'>

/** What the addon counts. */
export interface Counted extends Omit<Report, 'blocks'> {
  blocks: CountedBlock[]
}

/** The report of what the addon has counted; `sources` says of each block whether it has no inputs. */
export function reportOf({ blocks, ...counted }: Counted, sources: readonly boolean[]): Report {
  const items = blocks.map((block, at) => ({ ...block, items: itemsOf(block, sources[at] === true) }))
  return { ...counted, blocks: items }
}

/** What is called the items of a block. */
export function itemsOf({ itemsIn, itemsOut }: CountedBlock, isSource: boolean): number {
  return isSource ? itemsOut : itemsIn
}

/** What a block did with its time, in ms per s: together 1000. */
export interface Activity {
  /** In work. */
  busy: number
  /** Without messages. */
  starved: number
  /** Without room for what it sends, or without memory. */
  backpressured: number
  /** Otherwise. */
  idle: number
}

/** What a block did with its time between two reports; all 0, if it did not run meanwhile. */
export function activityBetween(before: BlockStats, after: BlockStats): Activity {
  const [busy, starved, backpressured, idle] = [
    after.busy - before.busy,
    after.starved - before.starved,
    after.backpressured - before.backpressured,
    after.idle - before.idle,
  ]
  const perSecond = 1000 / (busy + starved + backpressured + idle || Infinity)
  return {
    busy: busy * perSecond,
    starved: starved * perSecond,
    backpressured: backpressured * perSecond,
    idle: idle * perSecond,
  }
}

/** Of a block that does not run yet. */
export function notStarted(name: string): BlockStats {
  const [times, counts] = [
    { busy: 0, starved: 0, backpressured: 0, idle: 0, working: 0, workP50: 0, workP99: 0, workMax: 0 },
    { items: 0, itemsIn: 0, itemsOut: 0, workCalls: 0, gaps: 0, retried: 0, skipped: 0, deadLettered: 0, lost: 0 },
  ]
  return { name, state: 'created', error: null, ...counts, undelivered: 0, ...times, latencies: [], counters: {} }
}
