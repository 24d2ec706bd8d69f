import type { NamedCodec } from '../codec/codec.js'
import { hasCode, MillraceError } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { putBack } from '../memory/discard.js'
import { Receiver } from '../queue/receiver.js'
import type { Cancel } from '../session/cancel.js'
import type { Limits } from '../session/limits.js'
import type { Taken } from '../session/pull-iterator.js'
import type { Session } from '../session/session.js'
import { queueStatsOf } from '../session/snapshot.js'
import { DeadLetters } from './dead-letters.js'
import type { Namespace } from './namespace.js'
import { Unacknowledged } from './unacknowledged.js'
import type { WorkQueue } from './work-queue.js'

/** The getting side of a SageQueue: sorts out what cannot be got, and keeps the rest until it is finished. */
export class Getter<T> {
  readonly unacknowledged: Unacknowledged
  readonly #subject: string
  readonly #session: Session
  readonly #queue: WorkQueue<T>
  readonly #receiver: Receiver
  readonly #deadLetters: DeadLetters<T>
  readonly #cancel: Cancel
  readonly #take = (): Taken<BufferPtr> => this.#next()

  constructor(namespace: Namespace, queue: WorkQueue<T>, subject: string, cancel: Cancel) {
    this.unacknowledged = new Unacknowledged(subject)
    this.#subject = subject
    this.#session = namespace.session
    this.#queue = queue
    this.#receiver = new Receiver(namespace.session, queue.handle, subject)
    this.#deadLetters = new DeadLetters(namespace, queue)
    this.#cancel = cancel
  }

  /** The next value, waiting while there is none. */
  async get(limits: Limits): Promise<T> {
    return this.#valueOf((await this.#receiver.wait(limits, this.#take)) ?? this.#ended())
  }

  /** The next value; undefined, in a list: none now. */
  tryGet(): [T] | undefined {
    const message = this.#next()
    return message === undefined ? undefined : [this.#valueOf(message ?? this.#ended())]
  }

  /** The next value, in a list, which stays in the queue; undefined: none now. */
  peek(): [T] | undefined {
    const message = this.#receiver.peek()
    if (message === null) return undefined
    try {
      return [this.#queue.codec.decode(message.bytes)]
    } catch (error) {
      throw adding('it stays in the queue, as after every peek()', error)
    } finally {
      message.release()
    }
  }

  /** The error of finding nothing, at once or `within` some time. */
  nothing(within = ''): MillraceError {
    const { depth, leased } = queueStatsOf(this.#session, this.#queue.handle) ?? { depth: 0, leased: 0 }
    if (depth === 0 || leased < this.#queue.leases) {
      return new MillraceError('ERR_MILLRACE_EMPTY', `no value is in ${this.#subject}${within}`)
    }
    const taken = `${leased} others were got and are not finished, which is all it has room for`
    return new MillraceError('ERR_MILLRACE_EMPTY', `${this.#subject} has ${depth} values, but ${taken}${within}`)
  }

  /** Gives back what is not finished. */
  close(): void {
    this.unacknowledged.giveBack()
    this.#deadLetters.close()
  }

  #next(): Taken<BufferPtr> {
    const message = this.#receiver.take()
    if (message === undefined && this.unacknowledged.leases >= this.#queue.leases) throw this.#handsFull()
    return message
  }

  #moveAway(message: BufferPtr): boolean {
    try {
      return this.#deadLetters.tryMove(message)
    } catch (error) {
      putBack(message)
      throw error
    }
  }

  #valueOf(message: BufferPtr): T {
    if (this.#cancel.cancelled) {
      // This end was closed after the message had come and before its getter went on.
      message.nack()
      throw this.#cancel.reason
    }
    const codec = this.#codecOf(message)
    let value: T
    try {
      value = codec.decode(message.bytes)
    } catch (error) {
      const moved = this.#moveAway(message)
      // Given back it would be the next again, for everybody, for ever.
      if (!moved) this.unacknowledged.setAside(message)
      const { name } = this.#deadLetters
      throw adding(moved ? `it is in queue "${name}" now` : 'it is kept here until this end is closed', error)
    }
    if (this.#queue.acknowledge === 'get') message.release()
    else this.unacknowledged.add(value, message)
    return value
  }

  /** How to decode `message`, which is given back if that is not known here. */
  #codecOf(message: BufferPtr): NamedCodec<T> {
    try {
      return this.#queue.codec
    } catch (error) {
      message.nack()
      throw error
    }
  }

  #handsFull(): MillraceError {
    const message =
      `${this.unacknowledged.leases} values of ${this.#subject} were got here and are not finished, which is all it has room for: ` +
      "call taskDone(), or open it with { acknowledge: 'get' }"
    return new MillraceError('ERR_MILLRACE_LIMIT', message)
  }

  #ended(): never {
    throw new MillraceError('ERR_MILLRACE_CLOSED', `${this.#subject} was shut down`)
  }
}

/** The error of decoding, with what has become of the value. */
function adding(whereabouts: string, error: unknown): unknown {
  if (!hasCode(error, 'ERR_MILLRACE_DECODE')) return error
  return new MillraceError(error.code, `${error.message}; ${whereabouts}`, { cause: error.cause })
}
