import { directoryIn } from '../domain/base-directory.js'
import { ShmManager } from '../domain/manager.js'
import { invalidArgument } from '../errors.js'
import type { BindingManager, BindingQueueOptions } from '../native/native.js'
import type { OpenOptions } from '../domain/options.js'
import type { OptionNames } from '../check.js'
import { checkName } from '../check.js'
import type { Session } from '../session/session.js'
import type { QueueStats } from '../session/snapshot.js'
import { snapshotOf } from '../session/snapshot.js'

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

/** @internal */
export const SAGE_DOMAIN_OPTIONS: OptionNames<SageDomainOptions> = {
  namespace: true,
  domain: true,
  directory: true,
  maxBytes: true,
  persist: true,
}

/** Those of this thread, by domain and directory. */
const namespaces = new Map<string, Namespace>()

/**
 * What all SageQueues of this thread share in one namespace: one participant, which leaves with the last of them. Queues have names of
 * their own there: no name of a PortQueue, topic or service can meet one.
 */
export class Namespace {
  readonly name: string
  readonly session: Session
  /** Memory for all its queues together. */
  readonly maxBytes: number
  readonly #key: string
  readonly #shm: ShmManager
  #members = 0
  /** How many use a queue, by its handle. */
  readonly #uses = new Map<number, number>()

  private constructor(key: string, name: string, shm: ShmManager) {
    this.name = name
    this.session = shm.session
    this.maxBytes = shm.registry.snapshot().maxBytes
    this.#key = key
    this.#shm = shm
  }

  static #open(key: string, name: string, shm: ShmManager): Namespace {
    try {
      return new Namespace(key, name, shm)
    } catch (error) {
      shm.close()
      throw error
    }
  }

  /** Joins the namespace that `options` name, until {@link Namespace.leave}. */
  static join(options: SageDomainOptions): Namespace {
    const { namespace = '', domain: base = 'sage', directory, maxBytes, persist } = options
    if (namespace !== '' && checkName('namespace', namespace).includes('.')) {
      throw invalidArgument('namespace', 'a name without dots', namespace)
    }
    const domain = namespace === '' ? base : `${base}.${namespace}`
    const wanted: OpenOptions = {
      ...(directory !== undefined && { directory }),
      ...(maxBytes !== undefined && { maxBytes }),
      ...(persist !== undefined && { persist }),
    }
    // The environment may name another directory by now.
    const key = JSON.stringify([domain, directory ?? directoryIn(process.env)])
    let joined = namespaces.get(key)
    if (joined === undefined) {
      joined = Namespace.#open(key, namespace, ShmManager.open(domain, wanted))
      namespaces.set(key, joined)
    } else if (maxBytes !== undefined || persist !== undefined) {
      // Whether they fit what there is is for the core to say.
      ShmManager.open(domain, wanted).close()
    }
    joined.#members++
    return joined
  }

  /** Runs `work` in the namespace that `options` name. */
  static within<R>(options: SageDomainOptions, work: (namespace: Namespace) => R): R {
    const namespace = Namespace.join(options)
    try {
      return work(namespace)
    } finally {
      namespace.leave()
    }
  }

  leave(): void {
    if (--this.#members > 0) return
    namespaces.delete(this.#key)
    this.#shm.close()
  }

  /** A handle of queue `name`, until {@link Namespace.detach}. With options the queue is made if there is none. */
  attach(name: string, options?: BindingQueueOptions): number {
    const handle = this.session.call((native) => native.workQueue(name, options))
    this.#uses.set(handle, (this.#uses.get(handle) ?? 0) + 1)
    return handle
  }

  /** Lets go of a queue. Who has it open is counted by process and thread: the last use here ends that. */
  detach(handle: number): void {
    const uses = this.#uses.get(handle)! - 1
    if (uses > 0) {
      this.#uses.set(handle, uses)
      return
    }
    this.#uses.delete(handle)
    if (!this.session.closed) this.session.call((native) => native.detachQueue(handle))
  }

  /** What `work` finds of queue `name`, by a handle that it has meanwhile. */
  with<R>(name: string, work: (native: BindingManager, handle: number) => R): R {
    const handle = this.attach(name)
    try {
      return this.session.call((native) => work(native, handle))
    } finally {
      this.detach(handle)
    }
  }

  /** Destroys queue `name` for everybody. False: there is none. */
  destroy(name: string): boolean {
    return this.with(name, (native, handle) => {
      const exists = native.depth(handle) !== null
      if (exists) native.destroyQueue(handle)
      return exists
    })
  }

  /** Its queues now. */
  queues(): QueueStats[] {
    return snapshotOf(this.session).workQueues
  }
}
