/** Where a block is in its life. */
export type BlockState = 'created' | 'running' | 'stopped' | 'failed'

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
  /** Time in work. */
  busy: number
  /** Time without messages. */
  starved: number
  /** Time without room for what it sends, or without memory. */
  backpressured: number
  /** Other time. */
  idle: number
  /** Half of the calls of its work took at most so long. */
  workP50: number
  /** Of a hundred calls of its work, 99 took at most so long. */
  workP99: number
  /** Counters of its own. */
  counters: Record<string, number>
}

/** What has been counted of the blocks of a scheduler. */
export interface Report {
  /** In the order in which they were added. */
  blocks: BlockStats[]
}

/** What the addon counts. */
export type CountedBlock = Omit<BlockStats, 'items'>

/** The report of what the addon has counted; `sources` says of each block whether it has no inputs. */
export function reportOf(counted: readonly CountedBlock[], sources: readonly boolean[]): Report {
  return { blocks: counted.map((block, at) => ({ ...block, items: itemsOf(block, sources[at] === true) })) }
}

/** What is called the items of a block. */
export function itemsOf({ itemsIn, itemsOut }: CountedBlock, isSource: boolean): number {
  return isSource ? itemsOut : itemsIn
}

/** Of a block that does not run yet. */
export function notStarted(name: string): BlockStats {
  const [times, counts] = [
    { busy: 0, starved: 0, backpressured: 0, idle: 0, workP50: 0, workP99: 0 },
    { items: 0, itemsIn: 0, itemsOut: 0, workCalls: 0, gaps: 0, retried: 0, skipped: 0, deadLettered: 0, lost: 0 },
  ]
  return { name, state: 'created', error: null, ...counts, undelivered: 0, ...times, counters: {} }
}
