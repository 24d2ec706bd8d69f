import { hasCode } from '../errors.js'
import type { OptionNames } from '../check.js'
import { checkOptions } from '../check.js'
import type { SageDomainOptions } from './namespace.js'
import { Namespace, SAGE_DOMAIN_OPTIONS } from './namespace.js'
import type { SageQueueOptions } from './options.js'
import { checkQueueName } from './options.js'
import { SageQueue } from './queue.js'
import type { SageQueueEntry } from './stats.js'
import { entryOf } from './stats.js'

const CLEANUP_OPTIONS: OptionNames<SageDomainOptions & { all?: boolean }> = { ...SAGE_DOMAIN_OPTIONS, all: true }

/** Looks after the queues of a namespace, whoever made them. */
export const SageQueueManager = {
  /** Every queue of the namespace. */
  list(options: SageDomainOptions = {}): SageQueueEntry[] {
    return Namespace.within(checkOptions('list', options, SAGE_DOMAIN_OPTIONS), (namespace) =>
      namespace.queues().map(entryOf),
    )
  },

  /** Queue `name` if it exists; else undefined, and none is made. */
  get<T = unknown>(name: string, options: SageQueueOptions<T> = {}): SageQueue<T> | undefined {
    try {
      return new SageQueue<T>(name, options, false)
    } catch (error) {
      if (hasCode(error, 'ERR_MILLRACE_NOT_FOUND')) return undefined
      throw error
    }
  },

  /** Destroys queue `name` for everybody. False: there was none. */
  destroy(name: string, options: SageDomainOptions = {}): boolean {
    checkQueueName(name)
    return Namespace.within(checkOptions('destroy', options, SAGE_DOMAIN_OPTIONS), (namespace) =>
      namespace.destroy(name),
    )
  },

  /**
   * Destroys the queues that no process has open and that hold nothing; with `all`, also those that hold values. Returns their
   * names. What crashed processes have left is such a queue.
   */
  cleanup(options: SageDomainOptions & { all?: boolean } = {}): string[] {
    const { all = false } = checkOptions('cleanup', options, CLEANUP_OPTIONS)
    return Namespace.within(options, (namespace) =>
      namespace
        .queues()
        .filter(({ attached, depth, leased }) => attached === 0 && (all || depth + leased === 0))
        .map(({ name }) => name)
        .filter((name) => namespace.destroy(name)),
    )
  },
}
