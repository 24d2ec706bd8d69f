import { onAbort } from '../session/cancel.js'
import { limitsOf } from '../session/limits.js'
import { BufferPtr } from '../memory/buffer-ptr.js'
import { idOf } from '../memory/buffer-ptr.js'
import { MillraceError } from '../errors.js'
import type { PortQueue } from '../queue/port-queue.js'
import { TimeSlice } from '../session/time-slice.js'
import type { Core } from './client.js'
import { closedHere } from './client.js'
import * as envelopes from './envelope.js'
import { encodeFailure } from './failure.js'
import type { Payload } from './payload.js'
import { isExhausted, Payload as Payloads } from './payload.js'
import type { IsThere, Watcher } from './post.js'
import type { RequestContext } from './run.js'
import { Run } from './run.js'

/** Words from clients that a server holds at most; more make them wait. */
const CONTROL_CAPACITY = 1024
const BATCH = 64

/** A promise if it takes time. */
type Sending = Promise<unknown> | undefined

export type AnyHandler<Req> = (request: Req, context: RequestContext) => unknown

/** The answering side of a service. */
export class Server<Req, Res> implements Watcher {
  served = 0
  expired = 0
  cancelled = 0
  refused = 0
  failed = 0
  readonly #core: Core<Req, Res>
  readonly #handler: AnyHandler<Req>
  readonly #concurrency: number
  readonly #failures: Payload<Uint8Array>
  readonly #control: PortQueue
  readonly #runs = new Set<Run>()
  readonly #stopping = new AbortController()
  readonly #closing = new AbortController()
  #onRoom: (() => void) | undefined
  #left = false

  constructor(core: Core<Req, Res>, handler: AnyHandler<Req>, concurrency: number) {
    this.#core = core
    this.#handler = handler
    this.#concurrency = concurrency
    this.#failures = new Payloads<Uint8Array>(core.session, core.shm.allocator, undefined)
    this.#control = core.post.create(core.name, 'server', CONTROL_CAPACITY)
    // Waits come and go by the thousand: one listener that stays spares them theirs.
    onAbort(this.#stopping.signal, () => {})
    onAbort(this.#closing.signal, () => {})
    core.post.watch(this)
  }

  get running(): number {
    return this.#runs.size
  }

  get busy(): boolean {
    return this.#runs.size > 0
  }

  /** Serves until it is stopped, and what it has begun has ended. */
  async run(): Promise<void> {
    const listening = this.#listen()
    try {
      await this.#take()
      while (this.#runs.size > 0 && !this.#closing.signal.aborted) await this.#room()
    } finally {
      this.#leave()
      await listening
    }
  }

  /** Begins nothing more. */
  stop(): void {
    this.#stopping.abort()
    this.#onRoom?.()
  }

  /** Ends at once. What is running is given to others if it may run again; if not, its client is told. */
  close(): void {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.stop()
    for (const run of this.#runs) {
      run.abort(closedHere(this.#core.name))
      if (run.attempt <= run.envelope.run) run.message.nack()
      else this.#answerLost(run.envelope, run.attempt, run.message)
    }
    this.#leave()
  }

  check(isThere: IsThere): void {
    for (const run of this.#runs) {
      if (isThere(run.client, run.envelope.epoch)) continue
      run.abort(new MillraceError('ERR_MILLRACE_CLOSED', `the client, participant ${run.client}, is gone`))
    }
  }

  async #take(): Promise<void> {
    const { signal } = this.#stopping
    const { queue, session } = this.#core
    const slice = new TimeSlice()
    try {
      while (!signal.aborted) {
        if (this.#runs.size >= this.#concurrency) {
          await this.#room()
          continue
        }
        let message = queue.tryReceive()
        if (message === null) {
          message = await queue.receive({ signal })
          slice.restart()
        }
        this.#begin(message)
        if (slice.exceeded()) await slice.pass()
      }
    } catch (error) {
      if (!signal.aborted && !session.closed) throw error
    }
  }

  /** Waits until a run ends, or this stops. */
  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRoom = resolve
    })
  }

  #begin(message: BufferPtr): void {
    const { session, post } = this.#core
    const id = idOf(message)
    const segment = session.segments.of(id)
    const envelope = envelopes.read(segment, id)
    if (envelope.kind !== envelopes.REQUEST && envelope.kind !== envelopes.STREAM) {
      // Not a request: somebody used the queue by hand.
      this.refused++
      return message.release()
    }
    post.touch()
    if (envelope.limited && envelopes.timeUntil(envelope.detail) <= 0) {
      this.expired++
      return message.release()
    }
    const claim = envelopes.claim(segment, id, post.self, Math.min(envelope.run, envelopes.RETRIES_MAX) + 1)
    if (claim === 'cancelled') {
      this.cancelled++
      return message.release()
    }
    if (claim === 'spent') {
      this.refused++
      return this.#answerLost(envelope, envelopes.stateOf(segment, id).runs, message)
    }
    const run = new Run(envelope, message, claim)
    this.#runs.add(run)
    this.#call(run)
  }

  /** Calls the handler, and sees to it that its result is sent. A result that is there at once is sent at once. */
  #call(run: Run): void {
    let result: unknown
    try {
      result = this.#handler(this.#core.requests.peek(run.message), run)
      if (run.envelope.kind === envelopes.STREAM) result = this.#stream(run, result)
      else if (isPromiseLike(result)) result = result.then((value) => this.#answer(run, value))
      else result = this.#answer(run, result)
    } catch (error) {
      result = this.#fail(run, error)
    }
    if (!isPromiseLike(result)) return this.#end(run)
    result
      .then(undefined, (error: unknown) => this.#fail(run, error))
      .then(
        () => this.#end(run),
        (error: unknown) => this.#defect(run, error),
      )
  }

  #answer(run: Run, value: unknown): Sending {
    if (isStream(value)) {
      void value.return?.()
      throw new MillraceError(
        'ERR_MILLRACE_INVALID_ARGUMENT',
        `service '${this.#core.name}' answers with a stream: use stream()`,
      )
    }
    return this.#reply(run, envelopes.VALUE, 0, this.#core.replies, value)
  }

  async #stream(run: Run, result: unknown): Promise<void> {
    const source = iteratorOf(await result, this.#core.name)
    let position = 0
    try {
      for (;;) {
        await run.mayYield(position)
        if (run.unwanted) break
        const { value, done } = (await source.next()) as IteratorResult<unknown>
        if (done === true) {
          await this.#reply(run, envelopes.END, position, this.#failures, NOTHING)
          break
        }
        await this.#reply(run, envelopes.CHUNK, position, this.#core.replies, value)
        position = (position + 1) >>> 0
      }
    } finally {
      // After the end, or its own throw, a generator takes no notice.
      await source.return?.()
    }
  }

  #fail(run: Run, thrown: unknown): Sending {
    if (!run.unwanted) this.failed++
    return this.#reply(run, envelopes.ERROR, 0, this.#failures, encodeFailure(thrown))
  }

  /** Sends one message to the client of `run`, unless nobody wants it. */
  #reply<T>(run: Run, kind: number, position: number, payload: Payload<T>, value: unknown): Sending {
    if (run.unwanted) {
      discard(value)
      return undefined
    }
    // Its own buffer may bear the reply, but not as long as somebody may have to run it again.
    const request = run.attempt > run.envelope.run ? run.message : undefined
    try {
      return this.#post(run, kind, position, payload.pack(value, request))
    } catch (error) {
      if (!isExhausted(error)) throw error
    }
    // The client waits for this, and whoever has the buffers will give some back.
    return payload.packLater(value, request, limitsOf({ signal: run.signal })).then(
      (buffer) => this.#post(run, kind, position, buffer),
      (error: unknown) => {
        if (!run.unwanted) throw error
        return undefined
      },
    )
  }

  #post(run: Run, kind: number, position: number, buffer: BufferPtr): Sending {
    const { post, name } = this.#core
    this.#address(run.envelope, run.attempt, kind, position, buffer)
    const sent = post.send(name, 'client', run.envelope, buffer, this.#closing.signal)
    return typeof sent === 'boolean' ? undefined : sent
  }

  #address({ call }: envelopes.Envelope, run: number, kind: number, detail: number, buffer: BufferPtr): void {
    const { session, post } = this.#core
    const id = idOf(buffer)
    envelopes.write(session.segments.of(id), id, post.self, kind, call, detail, run, 0)
  }

  /** Tells a client that its request was begun, and will neither end nor be begun again. */
  #answerLost(envelope: envelopes.Envelope, run: number, message: BufferPtr): void {
    const { post, name } = this.#core
    // Its own buffer serves: it is not needed any more, and there may be no other. If the handler released it, one has come back.
    const buffer = message.released ? this.#failures.pack(NOTHING) : message
    this.#address(envelope, run, envelopes.LOST, 0, buffer)
    void post.send(name, 'client', envelope, buffer)
  }

  /** The run has been answered: acknowledges the request. */
  #end(run: Run): void {
    run.end()
    run.message.release()
    this.#runs.delete(run)
    this.served++
    const onRoom = this.#onRoom
    this.#onRoom = undefined
    onRoom?.()
  }

  /** Not even an error could be sent. */
  #defect(run: Run, error: unknown): void {
    const { session } = this.#core
    this.#end(run)
    if (!session.closed && !this.#closing.signal.aborted) throw error
  }

  /** Hears clients that give up, or take more of a stream. */
  async #listen(): Promise<void> {
    const { signal } = this.#closing
    try {
      for (;;) {
        this.#obey(await this.#control.receive({ signal }))
        for (const message of this.#control.receiveMany(BATCH)) this.#obey(message)
      }
    } catch (error) {
      if (!signal.aborted && !this.#core.session.closed) throw error
    }
  }

  #obey(message: BufferPtr): void {
    const id = idOf(message)
    const { slot, epoch, call, kind, detail } = envelopes.read(this.#core.session.segments.of(id), id)
    message.release()
    for (const run of this.#runs) {
      const { envelope } = run
      if (envelope.call !== call || envelope.slot !== slot || envelope.epoch !== epoch) continue
      if (kind === envelopes.CREDIT) run.grant(detail)
      if (kind === envelopes.CANCEL) run.abort(new DOMException('The client has cancelled the request', 'AbortError'))
    }
  }

  #leave(): void {
    const { post, session } = this.#core
    if (this.#left) return
    this.#left = true
    post.unwatch(this)
    this.#closing.abort()
    if (!session.closed) post.remove(this.#control)
  }
}

interface AnyIterator {
  next(): unknown
  return?(): unknown
}

interface AnyIterable {
  [Symbol.asyncIterator]?(): AnyIterator
  [Symbol.iterator]?(): AnyIterator
}

const NOTHING = new Uint8Array()

function isStream(value: unknown): value is AnyIterable & Partial<AnyIterator> {
  return (
    typeof value === 'object' &&
    value !== null &&
    (Symbol.asyncIterator in value || ('next' in value && Symbol.iterator in value))
  )
}

function iteratorOf(result: unknown, service: string): AnyIterator {
  const source = (typeof result === 'object' && result !== null ? result : {}) as AnyIterable
  const iterator = source[Symbol.asyncIterator]?.() ?? source[Symbol.iterator]?.()
  if (iterator !== undefined) return iterator
  discard(result)
  throw new MillraceError(
    'ERR_MILLRACE_INVALID_ARGUMENT',
    `service '${service}' does not answer with a stream: use request()`,
  )
}

/** What will not be sent is given back. */
function discard(value: unknown): void {
  if (value instanceof BufferPtr) value.release()
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value
}
