// The scenarios: those of the report that asked for this suite, and what it asked for next.
import type { Size } from '../index.js'
import { deaths } from './acts/deaths.js'
import { lifecycles } from './acts/lifecycles.js'
import { requests } from './acts/requests.js'
import { type Stream, streams } from './acts/streams.js'
import type { Fault } from './lib/jobs.js'
import type { Stage } from './lib/stage.js'

/** What processes do together. */
export interface Scenario {
  readonly name: string
  readonly title: string
  /** How many there are unless somebody says otherwise, and the fewest that it can be done with. */
  readonly processes: number
  readonly least: number
  /** Participants are worker threads. */
  readonly threads?: boolean
  /** Memory of the domain. Default: that of domains. */
  readonly maxBytes?: Size
  /** What it has to find; see {@link FAULTS}. */
  readonly faults: readonly Fault[]
  readonly run: (stage: Stage) => Promise<void>
}

/** What every stream finds. */
const OF_STREAMS: readonly Fault[] = ['lose', 'repeat', 'damage', 'swap', 'hold', 'throw', 'die']

/** A scenario that is a stream, half of the participants at each end. */
function streaming(
  scenario: Omit<Scenario, 'run' | 'faults' | 'least'> & { readonly faults?: readonly Fault[] },
  stream: Omit<Stream, 'senders' | 'receivers'>,
): Scenario {
  return {
    least: 2,
    faults: OF_STREAMS,
    ...scenario,
    run: (stage) => streams(stage, { ...stream, ...halves(stage.processes) }),
  }
}

function halves(count: number): { senders: number; receivers: number } {
  const receivers = Math.floor(count / 2)
  return { senders: count - receivers, receivers }
}

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  streaming(
    {
      name: 'concurrent',
      title: 'SageQueues that all read and write: 4 queues, 1 KiB',
      processes: 8,
      faults: [...OF_STREAMS, 'memory', 'descriptors'],
    },
    { ways: { kind: 'sage', count: 4, capacity: 1024 }, bytes: [1024] },
  ),
  {
    name: 'lifecycle',
    title: 'SageQueues that are made by one process and destroyed by another, again and again',
    processes: 6,
    least: 2,
    faults: ['lose'],
    run: (stage) => lifecycles(stage, splitLives(stage.processes), () => stage.time()),
  },
  {
    name: 'mixed',
    title: 'readers, writers and lifecycles at once: 3 SageQueues, 256 B',
    processes: 6,
    least: 4,
    faults: ['lose'],
    async run(stage) {
      const others = Math.max(2, Math.floor(stage.processes / 3))
      const stream: Stream = {
        ways: { kind: 'sage', count: 3, capacity: 50 },
        bytes: [256],
        ...halves(stage.processes - others),
      }
      await lifecycles(stage, splitLives(others), () => streams(stage, stream))
    },
  },
  streaming(
    { name: 'contention', title: 'many processes on one SageQueue of 8 places, 512 B', processes: 16 },
    { ways: { kind: 'sage', count: 1, capacity: 8 }, bytes: [512] },
  ),
  streaming(
    {
      name: 'memory',
      title: 'more messages than memory: 4 to 64 KiB in 8 MiB, senders wait',
      processes: 6,
      maxBytes: '8MiB',
    },
    { ways: { kind: 'queue', count: 2, capacity: 1024 }, bytes: [4096, 65_536, 16_384, 30_000] },
  ),
  streaming(
    { name: 'bursts', title: 'bursts of 2000 messages with pauses between, 1 KiB', processes: 4 },
    { ways: { kind: 'sage', count: 2, capacity: 1024 }, bytes: [1024], burst: 2000 },
  ),
  streaming(
    { name: 'buffers', title: 'buffers through port queues without a copy: 4 queues, 1 KiB', processes: 8 },
    { ways: { kind: 'queue', count: 4, capacity: 1024 }, bytes: [1024] },
  ),
  streaming(
    { name: 'topics', title: 'topics that every subscriber gets whole: 2 topics, 512 B', processes: 8 },
    { ways: { kind: 'topic', count: 2, capacity: 256 }, bytes: [512] },
  ),
  {
    name: 'requests',
    title: 'requests and replies of a service',
    processes: 8,
    least: 2,
    faults: ['lose', 'damage'],
    run(stage) {
      const { senders: clients, receivers: servers } = halves(stage.processes)
      return requests(stage, { servers, clients })
    },
  },
  streaming(
    { name: 'visitors', title: 'processes that come, send and go while others stream', processes: 4 },
    { ways: { kind: 'queue', count: 2, capacity: 256 }, bytes: [1024], visits: 500 },
  ),
  {
    name: 'deaths',
    title: 'processes are killed and stopped at random: queues, topics, services, SageQueues',
    processes: 4,
    least: 4,
    faults: [],
    run: deaths,
  },
  streaming(
    {
      name: 'threads',
      title: 'the same with worker threads: 4 SageQueues, 1 KiB',
      processes: 8,
      threads: true,
      faults: ['lose', 'damage'],
    },
    { ways: { kind: 'sage', count: 4, capacity: 256 }, bytes: [1024] },
  ),
  streaming(
    { name: 'crowd', title: '100 processes in one domain: 8 queues, 1 KiB', processes: 100, faults: ['lose'] },
    { ways: { kind: 'queue', count: 8, capacity: 256 }, bytes: [1024] },
  ),
]

function splitLives(count: number): { makers: number; destroyers: number } {
  const destroyers = Math.max(1, Math.floor(count / 3))
  return { makers: count - destroyers, destroyers }
}
