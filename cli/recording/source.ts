// Where messages to record come from, and how many passed that were not recorded.
import type { BufferPtr, PortQueue, ShmManager } from '../../index.js'
import { front, gone, received } from '../follow.js'
import type { Things } from '../place.js'

/** How to record. */
export interface SourceOptions {
  /** Publishers wait for us. */
  readonly block: boolean
  /** Messages are taken from the queue. */
  readonly take: boolean
}

/** Messages to record. */
export interface Source {
  /** Until `signal` is aborted or nothing more can come; each is released when the next one is asked for. */
  messages(signal: AbortSignal): AsyncGenerator<BufferPtr>
  /** How many passed meanwhile that were not among them. */
  missed(): number
}

/** Messages that publishers may be ahead of us by before any is missed. */
const CAPACITY = 4096

export function sourceOf(shm: ShmManager, { queue, topic }: Things, { block, take }: SourceOptions): Source {
  if (queue === undefined) return ofTopic(shm, topic!.name, block)
  const port = shm.portQueue(queue.name)
  return take ? { messages: (signal) => received(port, signal), missed: () => 0 } : ofFront(port)
}

function ofTopic(shm: ShmManager, name: string, block: boolean): Source {
  const subscription = shm.topic(name).subscribe({ capacity: CAPACITY, overflow: block ? 'block' : 'drop-oldest' })
  let missed = 0
  return {
    async *messages(signal) {
      try {
        yield* received({ receive: (options) => subscription.receive(options) }, signal)
        // What had come before the end, and no more.
        for (let left = subscription.depth; left > 0; left--) {
          using message = subscription.tryReceive()
          if (message !== null) yield message
        }
      } finally {
        missed = subscription.stats()?.dropped ?? missed
        subscription.close()
      }
    },
    missed: () => missed,
  }
}

function ofFront(queue: PortQueue): Source {
  const first = gone(queue) ?? 0
  let passed = first
  let seen = 0
  let last = -1
  return {
    async *messages(signal) {
      for await (const [message, before] of front(queue, signal)) {
        seen++
        last = before
        passed = before
        yield message
      }
    },
    missed() {
      passed = gone(queue) ?? passed
      // That which is in front has not passed.
      return passed - first - (last === passed ? seen - 1 : seen)
    },
  }
}
