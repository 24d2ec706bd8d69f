import type { ParticipantId } from '../session/participant-id.js'
import { MillraceError } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { discard } from '../memory/discard.js'
import { ERROR, HAS_DEADLINE, LOST, REQUEST, STREAM, VALUE } from '../native/generated/envelope.js'
import type { Limits, WaitOptions } from '../session/limits.js'
import { Sender } from '../queue/sender.js'
import { fromCaller } from '../session/callers.js'
import { onAbort } from '../session/cancel.js'
import { limitsOf, UNLIMITED } from '../session/limits.js'
import { PullIterator } from '../session/pull-iterator.js'
import { Semaphore } from '../session/semaphore.js'
import type { Call } from './call.js'
import { Single } from './call.js'
import { Control } from './control.js'
import type { Endpoint } from './endpoint.js'
import { closedHere, serverLost } from './endpoint.js'
import * as envelopes from './envelope.js'
import type { InboxOwner } from './inbox.js'
import { Inbox } from './inbox.js'
import type { RequestState, Runner } from './request-state.js'
import { cancel, inspect } from './request-state.js'
import type { StreamHost } from './stream-call.js'
import { StreamCall } from './stream-call.js'

/** The asking side of a service. */
export class Client<Req, Res> implements InboxOwner, StreamHost<Res> {
  requested = 0
  failed = 0
  timedOut = 0
  aborted = 0
  readonly #endpoint: Endpoint<Req, Res>
  readonly #requests: Sender
  readonly #control: Control<Req, Res>
  readonly #turns: Semaphore
  /** Calls that have begun, the ones whose request has been sent by number, and streams that nobody has looked at. */
  readonly #calls = new Set<Call<Res>>()
  readonly #sent = new Map<number, Call<Res>>()
  readonly #streams = new Map<StreamCall<Res>, { value: unknown; options: WaitOptions }>()
  #inbox: Inbox | undefined
  #lastId = 0

  constructor(endpoint: Endpoint<Req, Res>, inFlight: number) {
    const { session, name, queue } = endpoint
    this.#endpoint = endpoint
    this.#requests = new Sender(session, queue, `service "${name}"`)
    this.#control = new Control(endpoint)
    this.#turns = new Semaphore(inFlight, crowded(name))
  }

  get pending(): number {
    return this.#sent.size
  }

  /** Sends a request. Takes `value` over, however that ends. */
  request(value: unknown, retries: number, limits: Limits): Promise<Res> {
    const call = new Single(this.#endpoint, retries)
    this.#begin(call, value, limits)
    return limits.timeout === Infinity ? call.promise : fromCaller(call.promise)
  }

  /** A stream, whose request is sent when somebody first looks. Takes `value` over, however that ends. */
  stream(value: unknown, retries: number, window: number, options: WaitOptions): PullIterator<BufferPtr, Res> {
    const call: StreamCall<Res> = new StreamCall(this.#endpoint, retries, window, this)
    const taken = this.#endpoint.requests.take(value)
    this.#streams.set(call, { value: taken, options })
    call.onEnd(() => {
      if (this.#streams.delete(call)) discard(taken)
    })
    return new PullIterator<BufferPtr, Res>(call)
  }

  start(call: StreamCall<Res>): void {
    const { value, options } = this.#streams.get(call)!
    this.#streams.delete(call)
    let limits: Limits
    try {
      limits = limitsOf(options)
    } catch (error) {
      discard(value)
      return call.fail(error)
    }
    this.#begin(call, value, limits)
  }

  credit(call: StreamCall<Res>, server: ParticipantId, limit: number): void {
    this.#control.credit(call, server, limit)
  }

  leave(call: StreamCall<Res>): void {
    const runner = this.#withdraw(call)
    if (runner !== undefined) this.#control.cancel(call, runner)
  }

  /** Participants have gone: ends calls whose request nobody will end. */
  check(): void {
    // A server may have answered before it went.
    this.#inbox?.drain()
    const { session } = this.#endpoint
    for (const call of this.#sent.values()) {
      try {
        const { runner, runs } = inspect(session, call.tracker!)
        if (runner === undefined || (runs <= call.retries && !call.begun)) continue
        if (session.call((open) => open.isRunnerAlive(runner.slot, runner.epochLow))) continue
        // Another may have begun it since: that one is told.
        this.#giveUp(call, serverLost(this.#endpoint, runner.slot, runner.epochLow))
      } catch (error) {
        call.fail(error)
      }
    }
  }

  close(): void {
    const error = closedHere(this.#endpoint.name)
    for (const call of [...this.#streams.keys(), ...this.#calls]) this.#giveUp(call, error)
    this.#control.close()
    this.#inbox?.close()
    this.#inbox = undefined
  }

  accept(message: BufferPtr): void {
    const envelope = envelopes.read(this.#endpoint.session, message)
    const call = envelope && this.#sent.get(envelope.call)
    if (envelope === undefined || call === undefined || envelope.kind < VALUE || envelope.kind > LOST) {
      return discard(message)
    }
    if (envelope.kind === ERROR || envelope.kind === LOST) this.failed++
    call.accept(envelope, message)
  }

  onInboxLost(error: unknown): void {
    this.#inbox = undefined
    for (const call of this.#sent.values()) this.#giveUp(call, error)
  }

  /** Sends the request of `call`, at once if it can: what the caller does next must find its buffer sent. */
  #begin(call: Call<Res>, value: unknown, limits: Limits): void {
    if (limits.timeout === 0) {
      discard(value)
      this.timedOut++
      const { name } = this.#endpoint
      const message = `a request to service "${name}" that may take 0 ms is over before it is sent: it was not run, and will not be`
      return call.fail(new MillraceError('ERR_MILLRACE_TIMEOUT', message))
    }
    this.#register(call, limits)
    const fail = (error: unknown) => call.fail(error)
    if (!this.#turns.tryEnter()) {
      this.#beginLater(call, value, limits, false).catch(fail)
      return
    }
    call.onEnd(() => this.#turns.leave())
    let buffer: BufferPtr | undefined
    try {
      buffer = this.#pack(value)
    } catch (error) {
      discard(value)
      return call.fail(error)
    }
    if (buffer === undefined) this.#beginLater(call, value, limits, true).catch(fail)
    else this.#launch(call, buffer, limits)
  }

  /** Waits for a turn and for memory. `value` is taken at once: its owner may change it, or let go of it, meanwhile. */
  async #beginLater(call: Call<Res>, value: unknown, limits: Limits, entered: boolean): Promise<void> {
    const until: Limits = { ...UNLIMITED, cancel: call.cancel, hold: false }
    let taken = value
    try {
      taken = this.#endpoint.requests.take(value)
      if (!entered) {
        await this.#turns.enter(until)
        call.onEnd(() => this.#turns.leave())
        if (call.ended) return discard(taken)
      }
      call.phase = 'memory'
      const buffer = this.#pack(taken) ?? (await this.#endpoint.requests.packLater(taken, until))
      if (call.ended) discard(buffer)
      else this.#launch(call, buffer, limits)
    } catch (error) {
      discard(taken)
      throw error
    }
  }

  /** Undefined: there is no memory, and the session says to wait for it. */
  #pack(value: unknown): BufferPtr | undefined {
    const { requests, session } = this.#endpoint
    const buffer = requests.tryPack(value)
    if (buffer === undefined && session.exhausted === 'reject') throw requests.exhausted(value)
    return buffer
  }

  #register(call: Call<Res>, { timeout, deadline, signal }: Limits): void {
    const { waits } = this.#endpoint.session
    this.#calls.add(call)
    if (this.#calls.size === 1) waits.ref()
    call.onEnd(() => {
      this.#calls.delete(call)
      if (this.#calls.size === 0) waits.unref()
    })
    if (timeout !== Infinity) {
      const timer = setTimeout(() => this.#expire(call, timeout), Math.max(0, deadline - performance.now()))
      call.onEnd(() => clearTimeout(timer))
    }
    if (signal !== undefined) call.onEnd(onAbort(signal, () => this.#abort(call, signal)))
  }

  /** Sends the request. From then on the call ends by itself. */
  #launch(call: Call<Res>, buffer: BufferPtr, limits: Limits): void {
    try {
      this.#inbox ??= this.#openInbox()
      this.#address(call, buffer, limits)
      call.phase = 'sent'
      this.requested++
      this.#sent.set(call.id, call)
      call.onEnd(() => this.#sent.delete(call.id))
      if (!this.#requests.crowded && this.#requests.trySend(buffer)) return
    } catch (error) {
      discard(buffer)
      return call.fail(error)
    }
    const until = limitsOf(undefined, call.cancel)
    this.#requests.sendLater(buffer, until, true).catch((error: unknown) => call.fail(error))
  }

  #openInbox(): Inbox {
    const { session, name } = this.#endpoint
    return new Inbox(session, name, 'client', Math.max(1024, Math.min(2 ** 16, this.#turns.limit * 4)), this)
  }

  /** Writes the envelope, and keeps a reference to the request. */
  #address(call: Call<Res>, buffer: BufferPtr, { deadline }: Limits): void {
    do this.#lastId = (this.#lastId + 1) >>> 0
    while (this.#sent.has(this.#lastId))
    call.id = this.#lastId
    const { session, self } = this.#endpoint
    const limited = deadline !== Infinity
    const kind = (call.window === 0 ? REQUEST : STREAM) | (limited ? HAS_DEADLINE : 0)
    const until = limited ? envelopes.deadlineIn(Math.max(0, deadline - performance.now())) : 0
    envelopes.resetState(session, buffer)
    envelopes.write(session, buffer, self, kind, call.id, until, call.retries, call.window)
    call.tracker = buffer.share()
  }

  #expire(call: Call<Res>, timeout: number): void {
    // The reply may be here, if the event loop was busy elsewhere.
    this.#inbox?.drain()
    if (call.ended) return
    this.timedOut++
    try {
      call.fail(new MillraceError('ERR_MILLRACE_TIMEOUT', this.#whyLate(call, `within ${Math.ceil(timeout)} ms`)))
    } catch (error) {
      call.fail(error)
    }
  }

  /** What a timeout says; of a request that is in the queue it makes sure that no run begins any more. */
  #whyLate(call: Call<Res>, within: string): string {
    const { name, session } = this.#endpoint
    if (call.phase === 'turn') return `${crowded(name)} ${within}`
    if (call.phase === 'memory') return `no buffer for a request to service "${name}" came back ${within}`
    const runner = this.#cancel(call)?.runner
    if (runner !== undefined) {
      return `service "${name}" did not answer ${within}: participant ${runner.slot} has begun to run the request, but not ended`
    }
    const { length } = session.call((open) => open.servers(name))
    const who =
      length === 0
        ? `no server of service "${name}" was there`
        : `none of the servers of "${name}" (${length}) was free`
    return `${who} ${within}: the request was not run, and will not be`
  }

  #abort(call: Call<Res>, signal: AbortSignal): void {
    this.aborted++
    this.#giveUp(call, signal.reason)
  }

  /** Ends `call` here and, if a server runs its request, there. */
  #giveUp(call: Call<Res>, error: unknown): void {
    const runner = this.#withdraw(call)
    call.fail(error)
    if (runner !== undefined) this.#control.cancel(call, runner)
  }

  /** Sees to it that no run begins any more; returns who has begun one. A request that is damaged nobody runs. */
  #withdraw(call: Call<Res>): Runner | undefined {
    try {
      return this.#cancel(call)?.runner
    } catch {
      return undefined
    }
  }

  /** Sees to it that no run begins any more. Undefined: the request has not been written, or is gone. */
  #cancel({ tracker }: Call<Res>): RequestState | undefined {
    const { session } = this.#endpoint
    return tracker === undefined || tracker.released || session.closed ? undefined : cancel(session, tracker)
  }
}

/** What did not happen when the time of a request is over before its turn. */
const crowded = (name: string) => `requests to service "${name}" already in flight did not end`
