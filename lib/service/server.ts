import { MillraceError } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { idOf } from '../memory/buffer-ptr.js'
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
import type { InboxOwner } from './inbox.js'
import { Inbox } from './inbox.js'
import type { Sending } from './replies.js'
import { Replies } from './replies.js'
import { claim, inspect } from './request-state.js'
import type { RequestContext } from './run.js'
import { Run } from './run.js'
import { abandon, isStream, sendStream } from './stream-run.js'

/** Words from clients that a server holds at most; more make them wait. */
const CONTROL_CAPACITY = 1024

export type AnyHandler<Req> = (request: Req, context: RequestContext) => unknown

/** The answering side of a service. */
export class Server<Req, Res> implements InboxOwner {
  served = 0
  expired = 0
  cancelled = 0
  refused = 0
  failed = 0
  readonly #endpoint: Endpoint<Req, Res>
  readonly #handler: AnyHandler<Req>
  readonly #concurrency: number
  readonly #receiver: Receiver
  readonly #replies: Replies<Req, Res>
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
    this.#handler = handler
    this.#concurrency = concurrency
    this.#receiver = new Receiver(session, queue, `service '${name}'`)
    this.#replies = new Replies(endpoint)
    this.#control = new Inbox(session, name, 'server', CONTROL_CAPACITY, this)
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

  /** Hears a client that gives up, or takes more of a stream. */
  accept(message: BufferPtr): void {
    const id = idOf(message)
    const word = envelopes.read(this.#endpoint.session.segments.of(id), id)
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
      this.#begin(message)
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
    const id = idOf(message)
    const envelope = envelopes.read(session.segments.of(id), id)
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
    this.#call(run)
  }

  /** Calls the handler, and sees to it that its result is sent: at once if it is there at once. */
  #call(run: Run): void {
    let answering: Sending
    try {
      answering = this.#answer(run, this.#handler(this.#endpoint.requests.peek(run.message), run))
    } catch (thrown) {
      return this.#refuse(run, thrown)
    }
    if (answering === undefined) return this.#end(run)
    answering.then(
      () => this.#end(run),
      (thrown: unknown) => this.#refuse(run, thrown),
    )
  }

  #answer(run: Run, result: unknown): Sending {
    if (run.envelope.kind !== STREAM) {
      return isPromiseLike(result)
        ? Promise.resolve(result).then((value) => this.#answerValue(run, value))
        : this.#answerValue(run, result)
    }
    return sendStream(run, this.#endpoint.name, result, this.#replies)
  }

  #answerValue(run: Run, value: unknown): Sending {
    if (!isStream(value)) return this.#replies.value(run, value)
    run.rest = abandon(value)
    const { name } = this.#endpoint
    throw new MillraceError('ERR_MILLRACE_INVALID_ARGUMENT', `service '${name}' answers with a stream: use stream()`)
  }

  /** Ends `run` with what was thrown. If not even that can be sent, serving ends. */
  #refuse(run: Run, thrown: unknown): void {
    if (!run.unwanted) this.failed++
    const lost = (error: unknown) => {
      this.#fail(error)
      this.#end(run)
    }
    try {
      const sending = this.#replies.failure(run, thrown)
      if (sending === undefined) this.#end(run)
      else sending.then(() => this.#end(run), lost)
    } catch (error) {
      lost(error)
    }
  }

  /** The run has been answered: acknowledges the request, once nothing looks at it any more. */
  #end(run: Run): void {
    run.end()
    const { message, rest } = run
    if (rest === undefined) {
      message.release()
    } else {
      this.#resting.add(message)
      const release = () => {
        this.#resting.delete(message)
        message.release()
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
      if (run.attempt <= run.envelope.run) run.message.nack()
      else this.#answerLost(run.envelope, run.attempt, run.message)
    }
    this.stop()
    this.#leave()
  }

  #leave(): void {
    this.#closing = true
    this.#control.close()
    for (const message of this.#resting) message.release()
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value
}
