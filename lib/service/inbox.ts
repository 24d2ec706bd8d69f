import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { Receiver } from '../queue/receiver.js'
import { Cancel } from '../session/cancel.js'
import { UNLIMITED } from '../session/limits.js'
import type { Session } from '../session/session.js'
import { TimeSlice } from '../session/time-slice.js'
import type { Role } from './mailboxes.js'

/** Messages taken at a crossing. */
const BATCH = 64

/** What becomes of what an inbox brings. */
export interface InboxOwner {
  /** Takes over one message. Does not throw. */
  accept(message: BufferPtr): void
  /** The inbox cannot be read any more. */
  onInboxLost(error: unknown): void
}

/**
 * A mailbox of this participant, and its one reader: messages are handled in the order in which they came, whoever looks for them. It
 * is read from the beginning to the end, and does not keep the process alive.
 */
export class Inbox {
  readonly #session: Session
  readonly #handle: number
  readonly #owner: InboxOwner
  readonly #receiver: Receiver
  readonly #cancel = new Cancel()
  /** Taken and not yet handled. */
  #arrived: BufferPtr[] = []
  #handling = false

  constructor(session: Session, service: string, role: Role, capacity: number, owner: InboxOwner) {
    this.#session = session
    this.#owner = owner
    this.#handle = session.call((open) => open.createMailbox(service, role, capacity))
    this.#receiver = new Receiver(session, this.#handle, `the ${role} mailbox of service "${service}"`)
    this.#read().catch((error: unknown) => this.#lose(error))
  }

  /** Handles what has come. */
  drain(): void {
    if (this.#handling) return
    try {
      while (this.#take()) this.#handleAll()
    } catch (error) {
      this.#lose(error)
    }
  }

  /** Removes the mailbox with what is in it. */
  close(): void {
    if (this.#cancel.cancelled) return
    this.#cancel.cancel()
    for (const message of this.#arrived.splice(0)) discard(message)
    if (this.#session.closed) return
    this.#session.call((open) => {
      open.destroyQueue(this.#handle)
      open.detachQueue(this.#handle)
    })
  }

  async #read(): Promise<void> {
    const limits = { ...UNLIMITED, cancel: this.#cancel, hold: false }
    const take = () => this.#take()
    const slice = new TimeSlice()
    while (!this.#cancel.cancelled) {
      if (!take()) {
        await this.#receiver.wait(limits, take, true)
        slice.restart()
      }
      this.#handleAll()
      if (slice.exceeded()) await slice.pass()
    }
  }

  /** Takes what has come, behind what was taken before. Undefined: there is nothing to handle. */
  #take(): true | undefined {
    if (this.#cancel.cancelled) return undefined
    this.#receiver.takeMany(this.#arrived.length + BATCH, this.#arrived)
    return this.#arrived.length > 0 ? true : undefined
  }

  #handleAll(): void {
    if (this.#handling) return
    this.#handling = true
    try {
      for (let message; (message = this.#arrived.shift()) !== undefined;) this.#owner.accept(message)
    } finally {
      this.#handling = false
    }
  }

  #lose(error: unknown): void {
    if (this.#cancel.cancelled) return
    this.#cancel.cancel()
    this.#owner.onInboxLost(error)
  }
}
