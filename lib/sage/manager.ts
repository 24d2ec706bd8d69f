import { BELL_TYPE } from './signal.js'
import type { Member, SageDomainOptions } from './namespace.js'
import { SageDomain } from './namespace.js'
import type { SageQueueOptions } from './open.js'
import { bellsOf, maxsizeOf } from './open.js'
import { SageQueue } from './queue.js'
import type { QueueStats } from '../session/snapshot.js'

/** A queue of a namespace, as {@link SageQueueManager.list} tells. */
export interface SageQueueEntry {
  /** Its name in the namespace. */
  name: string
  /** Values it holds. */
  maxsize: number
  /** Name of its codec. */
  codec: string
  /** Values in it. */
  size: number
  /** Values that were got and are not finished. */
  inWork: number
  /** Whether it was shut down. */
  closed: boolean
  /** Participants (processes, worker threads) that have it open. */
  attached: number
}

/** Looks after the queues of a namespace, whoever made them. */
export const SageQueueManager = {
  /** Every queue of the namespace. */
  list(options: SageDomainOptions = {}): SageQueueEntry[] {
    return inside(options, ({ shm }) => Object.values(shm.stats().queues).flatMap((queue) => entryOf(queue) ?? []))
  },

  /** Queue `name` if it exists; else undefined, and none is made. */
  get<T = unknown>(name: string, options: SageQueueOptions<T> = {}): SageQueue<T> | undefined {
    // Inside, so that the domain does not go between the look and the opening.
    return inside(options, ({ shm }) =>
      shm.stats().queues[name] === undefined ? undefined : new SageQueue<T>(name, options),
    )
  },

  /** Destroys queue `name` for everybody. False: there was none. */
  destroy(name: string, options: SageDomainOptions = {}): boolean {
    return inside(options, (domain) => {
      const there = entryOf(domain.shm.stats().queues[name]) !== undefined
      if (there) remove(domain, name)
      return there
    })
  },

  /**
   * Destroys the queues that no process has open and that hold nothing; with `all`, also those that hold values. Answers their
   * names. What crashed processes have left is such a queue.
   */
  cleanup(options: SageDomainOptions & { all?: boolean } = {}): string[] {
    return inside(options, (domain) => {
      const { queues } = domain.shm.stats()
      const abandoned = Object.values(queues).filter((queue) => queue.attached === 0)
      const removed = abandoned
        .map(entryOf)
        .filter((entry) => entry !== undefined)
        .filter(({ size, inWork }) => options.all === true || size + inWork === 0)
        .map(({ name }) => name)
      for (const name of removed) remove(domain, name)
      for (const bell of abandoned.filter(({ typeId }) => typeId === BELL_TYPE))
        domain.shm.portQueue(bell.name).destroy()
      return removed
    })
  },
}

function inside<R>(options: SageDomainOptions, work: (domain: SageDomain) => R): R {
  const member: Member = { end() {} }
  const domain = SageDomain.join(member, options)
  try {
    return work(domain)
  } finally {
    domain.leave(member)
  }
}

function entryOf(queue: QueueStats | undefined): SageQueueEntry | undefined {
  const maxsize = queue && maxsizeOf(queue.typeId)
  if (queue === undefined || maxsize === undefined) return undefined
  const { name, codec, depth, leased, closed, attached } = queue
  return { name, maxsize, codec, size: depth, inWork: leased, closed, attached }
}

function remove({ shm }: SageDomain, name: string): void {
  for (const each of [name, ...Object.values(bellsOf(name))]) shm.portQueue(each).destroy()
}
