import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard, putBack } from '../memory/discard.js'
import { CANCEL, CREDIT, REQUEST, STREAM } from '../native/generated/envelope.js'
import { Receiver } from '../queue/receiver.js'
import { Cancel } from '../session/cancel.js'
import type { Limits } from '../session/limits.js'
import { UNLIMITED } from '../session/limits.js'
import { TimeSlice } from '../session/time-slice.js'
import type { Endpoint } from './endpoint.js'
import { closedHere } from './endpoint.js'
import type { Envelope } from './envelope.js'
import * as envelopes from './envelope.js'
import type { AnyHandler, RunOwner } from './handling.js'
import { Handling } from './handling.js'
import type { InboxOwner } from './inbox.js'
import { Inbox } from './inbox.js'
import { Replies } from './replies.js'
import { claim, inspect } from './request-state.js'
import { Run } from './run.js'

/** Words from clients that a server holds at most; more make them wait. */
const CONTROL_CAPACITY = 1024

/** The answering side of a service. */
export class Server<Req, Res> implements InboxOwner, RunOwner {
  served = 0
  expired = 0
  cancelled = 0
  refused = 0
  readonly #endpoint: Endpoint<Req, Res>
  readonly #concurrency: number
  readonly #receiver: Receiver
  readonly #replies: Replies<Req, Res>
  readonly #handling: Handling<Req, Res>
  readonly #runs = new Set<Run>()
  /** Nothing more is begun. */
  readonly #stopping = new Cancel()
  /** Requests of streams that nobody wants, and whose source has not come to its end. */
  readonly #resting = new Set<BufferPtr>()
  #closing = false
  readonly #control: Inbox
  /** What the serving ends with, if it fails. */
  #failure: { error: unknown } | undefined
  #onRoom: (() => void) | undefined

  constructor(endpoint: Endpoint<Req, Res>, handler: AnyHandler<Req>, concurrency: number) {
    const { session, name, queue } = endpoint
    this.#endpoint = endpoint
    this.#concurrency = concurrency
    this.#receiver = new Receiver(session, queue, `service "${name}"`)
    this.#replies = new Replies(endpoint)
    this.#handling = new Handling(endpoint, handler, this.#replies, this)
    this.#control = new Inbox(session, name, 'server', CONTROL_CAPACITY, this)
  }

  /** Requests whose handler threw. */
  get failed(): number {
    return this.#handling.failed
  }

  get running(): number {
    return this.#runs.size
  }

  /** Serves until it is stopped, and what it has begun has ended. Rejects with what made it impossible to go on. */
  async run(): Promise<void> {
    const { waits } = this.#endpoint.session
    waits.ref()
    try {
      await this.#take()
      while (this.#runs.size > 0 && !this.#closing) await this.#room()
    } catch (error) {
      this.#fail(error)
    } finally {
      waits.unref()
      this.#leave()
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Begins nothing more. */
  stop(): void {
    this.#stopping.cancel()
    this.#makeRoom()
  }

  /** Ends at once. What is running is given to others if it may run again; if not, its client is told. */
  close(): void {
    this.#shut(closedHere(this.#endpoint.name))
  }

  /** Participants have gone: aborts what was run for them. */
  check(): void {
    const { session } = this.#endpoint
    try {
      for (const run of this.#runs) {
        const { slot, epoch } = run.envelope
        if (!session.call((open) => open.isAlive(slot, epoch))) run.abortUnreachable()
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Takes the control message of a client that gives up, or takes more of a stream. */
  accept(message: BufferPtr): void {
    const word = envelopes.read(this.#endpoint.session, message)
    message.release()
    if (word === undefined) return
    for (const run of this.#runs) {
      const { slot, epoch, call } = run.envelope
      if (call !== word.call || slot !== word.slot || epoch !== word.epoch) continue
      if (word.kind === CREDIT) run.grant(word.detail)
      if (word.kind === CANCEL) run.abort(new DOMException('The client has cancelled the request', 'AbortError'))
    }
  }

  onInboxLost(error: unknown): void {
    this.#fail(error)
  }

  onStuck(error: unknown): void {
    this.#fail(error)
  }

  async #take(): Promise<void> {
    const limits: Limits = { ...UNLIMITED, cancel: this.#stopping, hold: false }
    const slice = new TimeSlice()
    while (!this.#stopping.cancelled) {
      if (this.#runs.size >= this.#concurrency) {
        await this.#room()
        continue
      }
      let message = this.#receiver.take()
      if (message === undefined) {
        message = await this.#next(limits)
        slice.restart()
      }
      if (message === null) return
      try {
        this.#begin(message)
      } catch (error) {
        putBack(message)
        throw error
      }
      if (slice.exceeded()) await slice.pass()
    }
  }

  /** The next request; null when nothing more is begun. */
  async #next(limits: Limits): Promise<BufferPtr | null> {
    let message: BufferPtr | null
    try {
      message = await this.#receiver.wait(limits, () => this.#receiver.take(), true)
    } catch (error) {
      if (this.#stopping.cancelled) return null
      throw error
    }
    if (!this.#stopping.cancelled) return message
    message?.nack()
    return null
  }

  /** Waits until a run ends, or this stops. */
  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRoom = resolve
    })
  }

  #makeRoom(): void {
    const onRoom = this.#onRoom
    this.#onRoom = undefined
    onRoom?.()
  }

  #begin(message: BufferPtr): void {
    const { session } = this.#endpoint
    const envelope = envelopes.read(session, message)
    if (envelope?.kind !== REQUEST && envelope?.kind !== STREAM) {
      // No request: somebody used the queue by hand.
      this.refused++
      return message.release()
    }
    if (envelope.limited && envelopes.timeUntil(envelope.detail) <= 0) {
      this.expired++
      return message.release()
    }
    const claimed = claim(session, message, envelope.run + 1)
    if (claimed === 'cancelled') {
      this.cancelled++
      return message.release()
    }
    if (claimed === 'exhausted') {
      this.refused++
      return this.#answerLost(envelope, inspect(session, message).runs, message)
    }
    const run = new Run(envelope, message, claimed)
    this.#runs.add(run)
    this.#handling.call(run)
  }

  /** Acknowledges the request, once nothing looks at it any more. */
  onEnd(run: Run): void {
    run.end()
    const { message, rest } = run
    if (rest === undefined) {
      discard(message)
    } else {
      this.#resting.add(message)
      const release = () => {
        this.#resting.delete(message)
        discard(message)
      }
      rest.then(release, release)
    }
    if (this.#runs.delete(run)) this.served++
    this.#makeRoom()
  }

  /** Tells a client that its request was begun, and will neither end nor be begun again. */
  #answerLost(envelope: Envelope, run: number, message: BufferPtr): void {
    // Whoever serves has to know that a client was not told.
    const fail = (error: unknown) => (this.#failure ??= { error })
    try {
      this.#replies.lost(envelope, run, message)?.catch(fail)
    } catch (error) {
      fail(error)
    }
  }

  /** It is not possible to go on: serving ends with `error`. */
  #fail(error: unknown): void {
    if (this.#closing) return
    this.#failure = { error }
    this.#shut(error)
  }

  #shut(reason: unknown): void {
    if (this.#closing) return
    this.#closing = true
    for (const run of this.#runs) {
      run.abort(reason)
      if (run.attempt <= run.envelope.run) putBack(run.message)
      else this.#answerLost(run.envelope, run.attempt, run.message)
    }
    this.stop()
    this.#leave()
  }

  #leave(): void {
    this.#closing = true
    this.#control.close()
    for (const message of this.#resting) discard(message)
  }
}
