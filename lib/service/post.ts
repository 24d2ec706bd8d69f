import type { BufferPtr } from '../memory/buffer-ptr.js'
import { MillraceError } from '../errors.js'
import type { ShmManager } from '../domain/manager.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { Session } from '../session/session.js'
import type { Snapshot } from '../session/snapshot.js'
import { snapshotOf } from '../session/snapshot.js'
import type { Address } from './envelope.js'

/** Marks queues of this module: no other queue may be mistaken for one. */
const MAILBOX_CODEC = {
  name: 'millrace.mailbox',
  encode: (bytes: Uint8Array) => bytes,
  decode: (bytes: Uint8Array) => bytes,
}
const MAILBOX_NAME = /^(.+)\.(client|server)\.(\d{1,3})\.(\d{1,10})$/

/** How often to look for peers that left without a word, in ms, while there is anything to do with any. Deaths are heard of at once. */
const SWEEP_MS = 2000

/** Whom a mailbox serves: replies go to clients, cancellations and credit to servers. */
export type Role = 'client' | 'server'

/** Tells whether a participant is still there. The epoch may be the low half of it. */
export type IsThere = (slot: number, epoch: number) => boolean

/** Who wants to hear who is still there. */
export interface Watcher {
  /** Whether it has to do with somebody now. */
  readonly busy: boolean
  check(isThere: IsThere): void
}

/** A mailbox of somebody else. */
interface Peer {
  readonly queue: PortQueue
  readonly ending: AbortController
}

const open = new Set<Post>()

/**
 * Mailboxes: queues named `<service>.<role>.<slot>.<epoch>`, each read by one participant. Its owner makes and destroys it; if
 * that is gone, killed or not, any other participant that uses services does.
 */
export class Post {
  /** This participant. */
  readonly self: Address
  readonly #shm: ShmManager
  readonly #session: Session
  readonly #own = new Map<string, PortQueue>()
  readonly #peers = new Map<string, Peer>()
  readonly #watchers = new Set<Watcher>()
  #timer: NodeJS.Timeout | undefined
  #touched = false

  constructor(shm: ShmManager, session: Session) {
    this.#shm = shm
    this.#session = session
    const slot = shm.participant
    this.self = {
      slot,
      epoch: snapshotOf(session).participants.find((participant) => participant.slot === slot)!.epoch,
    }
    shm.on('participant-lost', () => this.sweep())
    if (open.size === 0) process.on('exit', closeAll)
    open.add(this)
    this.sweep()
  }

  watch(watcher: Watcher): void {
    this.#watchers.add(watcher)
  }

  unwatch(watcher: Watcher): void {
    this.#watchers.delete(watcher)
  }

  /** Makes a mailbox of this participant. */
  create(service: string, role: Role, capacity: number): PortQueue {
    const name = nameOf(service, role, this.self)
    const queue = this.#shm.portQueue(name, { capacity, codec: MAILBOX_CODEC })
    this.#own.set(name, queue)
    return queue
  }

  /** Destroys a mailbox of this participant with what is in it. */
  remove(queue: PortQueue): void {
    this.#own.delete(queue.name)
    destroy(queue)
  }

  /**
   * Moves `message` into the mailbox of `to`, waiting while it is full. False: that is gone, or `signal` aborted; the message is
   * released.
   */
  send(service: string, role: Role, to: Address, message: BufferPtr, signal?: AbortSignal): boolean | Promise<boolean> {
    const peer = this.#peer(nameOf(service, role, to))
    try {
      if (peer?.queue.trySend(message)) return true
    } catch (error) {
      this.#forgetIfDestroyed(peer!, error)
      message.release()
      return false
    }
    if (peer !== undefined) return this.#sendLater(peer, message, signal)
    message.release()
    return false
  }

  /** Participants that serve `service` now. */
  servers(service: string): Address[] {
    return mailboxesIn(snapshotOf(this.#session))
      .filter((box) => box.service === service && box.role === 'server')
      .map(({ slot, epoch }) => ({ slot, epoch }))
  }

  /** There is something to do with others: looks from time to time whether they are still there. */
  touch(): void {
    this.#touched = true
    this.#timer ??= setTimeout(() => this.#tick(), SWEEP_MS).unref()
  }

  /** Destroys mailboxes of participants that are gone, and tells the watchers who is there. */
  sweep(): void {
    if (this.#session.closed) return
    const foreign = mailboxesIn(snapshotOf(this.#session)).filter(({ name }) => !this.#own.has(name))
    // Asked afterwards: whoever made a mailbox was there before it.
    const { participants } = snapshotOf(this.#session)
    const isThere: IsThere = (slot, epoch) =>
      participants.some((other) => other.slot === slot && (other.epoch === epoch || (other.epoch & 0xffff) === epoch))
    for (const { name, slot, epoch } of foreign) if (!isThere(slot, epoch)) this.#destroyForeign(name)
    // Who asks and who serves may be one participant, which has one handle of its own mailbox for both.
    const isKept = (name: string) => this.#own.has(name) || foreign.some((box) => box.name === name)
    for (const name of this.#peers.keys()) if (!isKept(name)) this.#forget(name)
    for (const watcher of this.#watchers) watcher.check(isThere)
  }

  /** Destroys every mailbox of `service`, whosever it is. */
  destroyAll(service: string): void {
    for (const box of mailboxesIn(snapshotOf(this.#session))) {
      if (box.service === service && !this.#own.has(box.name)) this.#destroyForeign(box.name)
    }
  }

  /** Destroys what is this participant's. */
  close(): void {
    clearTimeout(this.#timer)
    open.delete(this)
    if (open.size === 0) process.off('exit', closeAll)
    if (this.#session.closed) return
    for (const name of this.#peers.keys()) this.#forget(name)
    for (const queue of this.#own.values()) destroy(queue)
    this.#own.clear()
  }

  #tick(): void {
    this.#timer = undefined
    if (this.#session.closed) return
    const again = this.#touched || [...this.#watchers].some(({ busy }) => busy)
    this.sweep()
    // One look more after the last sign of life: whoever left just after it is found, too.
    if (!again) return
    this.touch()
    this.#touched = false
  }

  #peer(name: string): Peer | undefined {
    const known = this.#peers.get(name)
    if (known !== undefined) return known
    const queue = this.#shm.portQueue(name)
    if (queue.info === null) {
      queue.detach()
      return undefined
    }
    const peer = { queue, ending: new AbortController() }
    this.#peers.set(name, peer)
    return peer
  }

  async #sendLater(peer: Peer, message: BufferPtr, signal: AbortSignal | undefined): Promise<boolean> {
    const { queue, ending } = peer
    try {
      await queue.send(message, { signal: signal ? AbortSignal.any([signal, ending.signal]) : ending.signal })
      return true
    } catch (error) {
      message.release()
      if (!ending.signal.aborted && !signal?.aborted) this.#forgetIfDestroyed(peer, error)
      return false
    }
  }

  #forgetIfDestroyed({ queue }: Peer, error: unknown): void {
    if (!(error instanceof MillraceError)) throw error
    if (error.code === 'ERR_MILLRACE_DESTROYED') this.#forget(queue.name)
    else if (error.code !== 'ERR_MILLRACE_CLOSED') throw error
  }

  #forget(name: string): void {
    const peer = this.#peers.get(name)
    if (peer === undefined) return
    this.#peers.delete(name)
    peer.ending.abort()
    peer.queue.detach()
  }

  #destroyForeign(name: string): void {
    this.#forget(name)
    destroy(this.#shm.portQueue(name))
  }
}

interface Mailbox extends Address {
  name: string
  service: string
  role: string
}

function mailboxesIn({ queues }: Snapshot): Mailbox[] {
  return queues.flatMap(({ name, codec }) => {
    const match = codec === MAILBOX_CODEC.name ? MAILBOX_NAME.exec(name) : null
    if (match === null) return []
    return { name, service: match[1]!, role: match[2]!, slot: Number(match[3]), epoch: Number(match[4]) }
  })
}

function nameOf(service: string, role: Role, { slot, epoch }: Address): string {
  return `${service}.${role}.${slot}.${epoch}`
}

/** Destroys a queue and lets go of it, so that its memory is free. */
function destroy(queue: PortQueue): void {
  queue.destroy()
  queue.detach()
}

/** `process.exit()` leaves no time to wait for anybody: what is here is removed at once. */
function closeAll(): void {
  for (const post of open) post.close()
}
