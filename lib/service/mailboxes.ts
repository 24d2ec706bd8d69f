import { keyOf } from '../session/participant-id.js'
import type { ParticipantId } from '../session/participant-id.js'
import { type ErrorCode, hasCode } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { Sender } from '../queue/sender.js'
import type { Limits } from '../session/limits.js'
import type { Session } from '../session/session.js'

/** Whom a mailbox serves: replies go to clients, cancellations and credit to servers. */
export type Role = 'client' | 'server'

/** Mailboxes that are remembered before it is looked which of them are gone. */
const PRUNE_AT = 64

/** What a failed send says if it is the mailbox that is at fault: its owner cannot be reached any more. */
const GONE: readonly ErrorCode[] = ['ERR_MILLRACE_DESTROYED', 'ERR_MILLRACE_CLOSED', 'ERR_MILLRACE_CORRUPT']

interface Mailbox {
  readonly handle: number
  readonly sender: Sender
}

/** The mailboxes that others have in one service, for one role. Each ends with its owner. */
export class Mailboxes {
  readonly #session: Session
  readonly #service: string
  readonly #role: Role
  readonly #known = new Map<string, Mailbox>()
  #pruneAt = PRUNE_AT

  constructor(session: Session, service: string, role: Role) {
    this.#session = session
    this.#service = service
    this.#role = role
  }

  /**
   * Moves `message`, which is released if it cannot be sent, into the mailbox of `to`, behind what was sent there before. False: that
   * is gone, or the wait for room was cancelled.
   * @throws when the mailbox cannot be reached for a reason that lies here, such as a want of descriptors
   */
  send(to: ParticipantId, message: BufferPtr, limits: Limits): boolean | Promise<boolean> {
    try {
      const mailbox = this.#find(to)
      if (mailbox !== undefined) {
        if (!mailbox.sender.crowded && mailbox.sender.trySend(message)) return true
        if (limits.cancel?.cancelled !== true) return this.#sendLater(to, mailbox, message, limits)
      }
    } catch (error) {
      discard(message)
      return this.#isGone(to, error)
    }
    discard(message)
    return false
  }

  async #sendLater(to: ParticipantId, mailbox: Mailbox, message: BufferPtr, limits: Limits): Promise<boolean> {
    try {
      await mailbox.sender.sendLater(message, limits, true)
      return true
    } catch (error) {
      return limits.cancel?.cancelled === true ? false : this.#isGone(to, error)
    }
  }

  /** False if `error` says that the mailbox is gone; else it is thrown. */
  #isGone(to: ParticipantId, error: unknown): false {
    if (!hasCode(error, ...GONE)) throw error
    this.#forget(keyOf(to))
    return false
  }

  #find(to: ParticipantId): Mailbox | undefined {
    const key = keyOf(to)
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const handle = this.#session.call((open) => open.findMailbox(this.#service, this.#role, to.slot, to.epoch))
    if (handle === null) return undefined
    if (this.#known.size >= this.#pruneAt) this.#prune()
    const subject = `the mailbox of participant ${to.slot} in service "${this.#service}"`
    const mailbox = { handle, sender: new Sender(this.#session, handle, subject) }
    this.#known.set(key, mailbox)
    return mailbox
  }

  /** Lets go of all, with the memory of those that are gone. Nothing is sent any more. */
  close(): void {
    for (const key of this.#known.keys()) this.#forget(key)
  }

  /** Forgets those that are gone. */
  #prune(): void {
    for (const [key, { handle }] of this.#known) {
      if (this.#session.call((open) => open.queueInfo(handle)) === null) this.#forget(key)
    }
    this.#pruneAt = Math.max(PRUNE_AT, this.#known.size * 2)
  }

  #forget(key: string): void {
    const mailbox = this.#known.get(key)
    if (mailbox === undefined) return
    this.#known.delete(key)
    if (!this.#session.closed) this.#session.call((open) => open.detachQueue(mailbox.handle))
  }
}
