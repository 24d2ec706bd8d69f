import { invalidArgument } from '../errors.js'
import { ShmManager } from '../domain/manager.js'
import type { OpenOptions } from '../options.js'
import { checkName } from '../options.js'

/** Where a {@link SageQueue} lives. */
export interface SageDomainOptions {
  /** A name that keeps tenants apart: each has a domain of its own, and so memory of its own. No dots. Default: none. */
  namespace?: string
  /** Name of the domain, to which the namespace is added. Default: `sage`. */
  domain?: string
  /** As in {@link OpenOptions}. */
  directory?: string
  /** Memory for all queues of the namespace together, as in {@link OpenOptions}. */
  maxBytes?: OpenOptions['maxBytes']
  /** Keep the namespace, its queues and their values when the last process leaves, as in {@link OpenOptions}. */
  persist?: boolean
}

/** What ends with its process. */
export interface Member {
  /** `orderly`: the process ends of itself; else by an error. */
  end(orderly: boolean): void
}

const domains = new Map<string, SageDomain>()

/** A process that ends without closing its queues has finished what it has in hand, unless it ends by an error. */
function endAll(code: number): void {
  for (const domain of domains.values()) domain.end(code === 0)
}

/** What all SageQueues of this thread share in one namespace: one participant. It closes with the last of them. */
export class SageDomain {
  readonly namespace: string
  readonly shm: ShmManager
  readonly maxBytes: number
  readonly #key: string
  readonly #members = new Set<Member>()

  private constructor(key: string, namespace: string, shm: ShmManager) {
    this.#key = key
    this.namespace = namespace
    this.shm = shm
    this.maxBytes = shm.registry.snapshot().maxBytes
    // One listener for each wait.
    shm.setMaxListeners(0)
  }

  /** Joins `member` to the namespace that `options` name. */
  static join(member: Member, options: SageDomainOptions): SageDomain {
    const { namespace = '', domain: base = 'sage', directory, maxBytes, persist } = options
    if (namespace !== '' && checkName('namespace', namespace).includes('.')) {
      throw invalidArgument('namespace', 'a name without dots', namespace)
    }
    const domain = namespace === '' ? base : `${base}.${namespace}`
    const wanted: OpenOptions = {
      exhausted: 'wait',
      ...(directory !== undefined && { directory }),
      ...(maxBytes !== undefined && { maxBytes }),
      ...(persist !== undefined && { persist }),
    }
    const key = JSON.stringify([domain, directory])
    const known = domains.get(key)
    if (known === undefined) {
      const opened = new SageDomain(key, namespace, ShmManager.open(domain, wanted))
      if (domains.size === 0) process.on('exit', endAll)
      domains.set(key, opened)
    } else if (maxBytes !== undefined || persist !== undefined) {
      // Whether they fit what there is is for the core to say.
      ShmManager.open(domain, wanted).close()
    }
    const joined = domains.get(key)!
    joined.#members.add(member)
    return joined
  }

  /** Ends every member. */
  end(orderly: boolean): void {
    for (const member of this.#members) member.end(orderly)
  }

  leave(member: Member): void {
    this.#members.delete(member)
    if (this.#members.size > 0) return
    domains.delete(this.#key)
    if (domains.size === 0) process.off('exit', endAll)
    this.shm.close()
  }
}
