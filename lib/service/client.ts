import { onAbort } from '../session/cancel.js'
import type { Limits } from '../session/limits.js'
import { limitsOf } from '../session/limits.js'
import { Semaphore } from '../session/semaphore.js'
import { BufferPtr, idOf } from '../memory/buffer-ptr.js'
import { MillraceError } from '../errors.js'
import type { ShmManager } from '../domain/manager.js'
import type { WaitOptions } from '../options.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { Session } from '../session/session.js'
import { TimeSlice } from '../session/time-slice.js'
import type { Call, StreamHost } from './call.js'
import { serverLost, Single, StreamCall } from './call.js'
import type { Address, Envelope, State } from './envelope.js'
import * as envelopes from './envelope.js'
import type { Payload } from './payload.js'
import { isExhausted } from './payload.js'
import type { IsThere, Post, Watcher } from './post.js'

const BATCH = 64
/** When to look for replies that crossed with the end of their call, in ms. */
const TIDY_MS = 1000

/** What both sides of a service share. */
export interface Core<Req, Res> {
  readonly name: string
  readonly shm: ShmManager
  readonly session: Session
  readonly post: Post
  readonly queue: PortQueue
  readonly requests: Payload<Req>
  readonly replies: Payload<Res>
}

/** The asking side of a service. */
export class Client<Req, Res> implements Watcher, StreamHost<Res> {
  requested = 0
  failed = 0
  timedOut = 0
  aborted = 0
  readonly #core: Core<Req, Res>
  readonly #gate: Semaphore
  readonly #calls = new Map<number, Call<Res>>()
  readonly #starts = new WeakMap<StreamCall<Res>, () => Promise<void> | undefined>()
  #servers: Address[] = []
  #inbox: PortQueue | undefined
  #parked = new AbortController()
  #pumping = false
  #closed = false
  #tidying: NodeJS.Timeout | undefined
  #lastId = 0

  constructor(core: Core<Req, Res>, inFlight: number) {
    this.#core = core
    this.#gate = new Semaphore(inFlight, `requests to service '${core.name}' already in flight did not end`)
    this.#keepSignal()
    core.post.watch(this)
  }

  get pending(): number {
    return this.#calls.size
  }

  get busy(): boolean {
    return this.#calls.size > 0
  }

  /** @throws at once what can be said at once */
  request(value: unknown, retries: number, options: WaitOptions | undefined): Promise<Res> {
    const call = new Single(this.#core.name, this.#core.replies, retries)
    const begun = this.#begin(call, value, options)
    return begun === undefined ? call.promise : begun.then(() => call.promise)
  }

  stream(value: unknown, retries: number, window: number, options: WaitOptions | undefined): StreamCall<Res> {
    const call: StreamCall<Res> = new StreamCall(this.#core.name, this.#core.replies, retries, window, this)
    this.#starts.set(call, () => this.#begin(call, value, options))
    return call
  }

  async start(call: StreamCall<Res>): Promise<void> {
    const begin = this.#starts.get(call)!
    this.#starts.delete(call)
    await begin()
  }

  credit(server: Envelope, limit: number): void {
    this.#tell(server, envelopes.CREDIT, server.call, limit)
  }

  cancel(call: Call<Res>): void {
    const state = this.#cancel(call)
    const server = state === undefined ? undefined : this.#serverOf(state)
    if (server !== undefined) this.#tell(server, envelopes.CANCEL, call.id, 0)
    this.#tidyLater()
  }

  check(isThere: IsThere): void {
    if (this.#calls.size === 0) return
    // A server may have answered before it died.
    this.#drain()
    for (const call of this.#calls.values()) {
      const state = this.#stateOf(call)
      if (state?.slot === undefined || isThere(state.slot, state.epochLow)) continue
      if (state.runs <= call.retries && !call.begun) continue
      this.#cancel(call)
      call.fail(serverLost(this.#core.name))
    }
  }

  close(): void {
    const { session, post } = this.#core
    this.#closed = true
    post.unwatch(this)
    for (const call of this.#calls.values()) {
      if (!session.closed) this.cancel(call)
      call.fail(closedHere(this.#core.name))
    }
    clearTimeout(this.#tidying)
    this.#parked.abort()
    if (this.#inbox !== undefined && !session.closed) post.remove(this.#inbox)
    this.#inbox = undefined
  }

  /** Sends the request of `call`, at once if it can: what the caller does next must find its buffer sent. */
  #begin(call: Call<Res>, value: unknown, options: WaitOptions | undefined): Promise<void> | undefined {
    const limits = limitsOf(options)
    const deadline = limits.timeout === Infinity ? undefined : envelopes.deadlineIn(limits.timeout)
    const launch = (buffer: BufferPtr) => this.#launch(call, buffer, deadline, limits)
    if (this.#gate.tryEnter()) return this.#prepare(value, limits, launch)
    return this.#takeTurn(value, limits).then((taken) => this.#prepare(taken, limits, launch))
  }

  /** Packs `value` and goes on with `launch`. */
  #prepare(value: unknown, limits: Limits, launch: (buffer: BufferPtr) => void): Promise<void> | undefined {
    const giveUp = (error: unknown) => {
      this.#gate.leave()
      if (value instanceof BufferPtr) value.release()
      throw error
    }
    let packed: BufferPtr | Promise<BufferPtr>
    try {
      packed = this.#pack(value, limits)
    } catch (error) {
      return giveUp(error)
    }
    if (packed instanceof Promise) return packed.then(launch, giveUp)
    launch(packed)
    return undefined
  }

  /** Sends the request. From then on the call ends by itself. */
  #launch(call: Call<Res>, buffer: BufferPtr, deadline: number | undefined, limits: Limits): void {
    try {
      if (this.#closed) throw closedHere(this.#core.name)
      this.#inbox ??= this.#openInbox()
      call.tracker = this.#address(call, buffer, deadline)
    } catch (error) {
      this.#gate.leave()
      buffer.release()
      throw error
    }
    if (call.ended) {
      // The loop over a stream was left meanwhile.
      this.#gate.leave()
      call.tracker.release()
      buffer.release()
      return
    }
    this.#register(call, limits)
    this.#send(call, buffer)
    void this.#pump()
  }

  /** Waits for a turn. A buffer is taken over at once: its owner may let go of it meanwhile. */
  async #takeTurn(value: unknown, limits: Limits): Promise<unknown> {
    const taken = value instanceof BufferPtr ? value.share() : value
    if (value instanceof BufferPtr) value.release()
    try {
      await this.#gate.enter(limits)
    } catch (error) {
      if (taken instanceof BufferPtr) taken.release()
      throw error
    }
    return taken
  }

  #openInbox(): PortQueue {
    const capacity = Math.max(1024, Math.min(2 ** 16, this.#gate.limit * 4))
    return this.#core.post.create(this.#core.name, 'client', capacity)
  }

  #pack(value: unknown, limits: Limits): BufferPtr | Promise<BufferPtr> {
    const { requests, session } = this.#core
    try {
      return requests.pack(value)
    } catch (error) {
      if (session.exhausted === 'reject' || !isExhausted(error)) throw error
    }
    return requests.packLater(value, undefined, limits)
  }

  /** Writes the envelope. Answers a reference to keep. */
  #address(call: Call<Res>, buffer: BufferPtr, deadline: number | undefined): BufferPtr {
    const { session, post } = this.#core
    do this.#lastId = (this.#lastId + 1) >>> 0
    while (this.#calls.has(this.#lastId))
    call.id = this.#lastId
    const id = idOf(buffer)
    const segment = session.segments.of(id)
    envelopes.resetState(segment, id)
    const kind = call.window === 0 ? envelopes.REQUEST : envelopes.STREAM
    const limited = deadline === undefined ? 0 : envelopes.HAS_DEADLINE
    envelopes.write(segment, id, post.self, kind | limited, call.id, deadline ?? 0, call.retries, call.window)
    return buffer.share()
  }

  #register(call: Call<Res>, { timeout, deadline, signal }: Limits): void {
    this.#calls.set(call.id, call)
    this.requested++
    this.#core.post.touch()
    call.onEnd(() => {
      this.#calls.delete(call.id)
      this.#gate.leave()
      // Nobody waits any more: neither does the pump, which would keep the process alive.
      if (this.#calls.size === 0 && this.#pumping) queueMicrotask(() => this.#unpark())
    })
    if (timeout !== Infinity) {
      const timer = setTimeout(() => this.#expire(call, timeout), Math.max(0, deadline - performance.now()))
      call.onEnd(() => clearTimeout(timer))
    }
    if (signal !== undefined) call.onEnd(onAbort(signal, () => this.#abort(call, signal)))
  }

  #send(call: Call<Res>, buffer: BufferPtr): void {
    const { queue } = this.#core
    const refuse = (error: unknown) => {
      buffer.release()
      call.fail(error)
    }
    try {
      if (queue.trySend(buffer)) return
    } catch (error) {
      return refuse(error)
    }
    const unsent = new AbortController()
    call.onEnd(() => unsent.abort())
    queue.send(buffer, { signal: unsent.signal }).catch(refuse)
  }

  #expire(call: Call<Res>, limit: number): void {
    // The reply may be here, if the event loop was busy elsewhere.
    this.#drain()
    if (call.ended) return
    const state = this.#cancel(call)
    this.timedOut++
    this.#tidyLater()
    call.fail(new MillraceError('ERR_MILLRACE_TIMEOUT', this.#explain(state, `within ${Math.ceil(limit)} ms`)))
  }

  #explain(state: State | undefined, within: string): string {
    const { name, post } = this.#core
    if (state?.slot !== undefined) {
      return `service '${name}' did not answer ${within}: participant ${state.slot} has begun to run the request, but not ended`
    }
    const { length } = post.servers(name)
    const who =
      length === 0
        ? `no server of service '${name}' was there`
        : `none of the servers of '${name}' (${length}) was free`
    return `${who} ${within}: the request was not run, and will not be`
  }

  #abort(call: Call<Res>, signal: AbortSignal): void {
    this.aborted++
    this.cancel(call)
    call.fail(signal.reason)
  }

  #stateOf({ tracker }: Call<Res>): State | undefined {
    if (tracker === undefined || tracker.released) return undefined
    const id = idOf(tracker)
    return envelopes.stateOf(this.#core.session.segments.of(id), id)
  }

  #cancel({ tracker }: Call<Res>): State | undefined {
    if (tracker === undefined || tracker.released) return undefined
    const id = idOf(tracker)
    return envelopes.cancel(this.#core.session.segments.of(id), id)
  }

  #serverOf({ slot, epochLow }: State): Address | undefined {
    if (slot === undefined) return undefined
    const isIt = (server: Address) => server.slot === slot && (server.epoch & 0xffff) === epochLow
    const known = this.#servers.find(isIt)
    if (known !== undefined) return known
    this.#servers = this.#core.post.servers(this.#core.name)
    return this.#servers.find(isIt)
  }

  /** Sends a word to a server. It can do without: what nobody wants ends at its deadline, or when this participant leaves. */
  #tell(server: Address, kind: number, call: number, detail: number): void {
    const { shm, session, post, name } = this.#core
    let message: BufferPtr
    try {
      message = shm.allocate(0)
    } catch (error) {
      if (isExhausted(error)) return
      throw error
    }
    const id = idOf(message)
    envelopes.write(session.segments.of(id), id, post.self, kind, call, detail, 0, 0)
    void post.send(name, 'server', server, message)
  }

  /** Hands replies to their calls, as long as there are any calls. */
  async #pump(): Promise<void> {
    if (this.#pumping) return
    this.#pumping = true
    const slice = new TimeSlice()
    try {
      while (this.#calls.size > 0) {
        const inbox = this.#inbox!
        const { signal } = this.#parked
        this.#accept(await inbox.receive({ signal }))
        slice.restart()
        while (this.#drainSome(inbox)) if (slice.exceeded()) await slice.pass()
      }
    } catch (error) {
      this.#stop(error)
    } finally {
      this.#pumping = false
      if (this.#calls.size > 0 && this.#inbox !== undefined) void this.#pump()
    }
  }

  /** The pump ended with an error: because nobody waits any more, or because the inbox is gone. */
  #stop(error: unknown): void {
    if (this.#parked.signal.aborted) {
      this.#parked = new AbortController()
      this.#keepSignal()
      return
    }
    this.#inbox = undefined
    for (const call of this.#calls.values()) call.fail(error)
  }

  /** Waits come and go by the thousand: one listener that stays spares them theirs. */
  #keepSignal(): void {
    onAbort(this.#parked.signal, () => {})
  }

  #unpark(): void {
    if (this.#calls.size === 0 && this.#pumping) this.#parked.abort()
  }

  /** Takes what has come, in one crossing. False: nothing. */
  #drainSome(inbox: PortQueue): boolean {
    if (this.#core.session.closed || this.#inbox !== inbox) return false
    const messages = inbox.receiveMany(BATCH)
    for (const message of messages) this.#accept(message)
    return messages.length === BATCH
  }

  #drain(): void {
    while (this.#inbox !== undefined && this.#drainSome(this.#inbox));
  }

  #accept(message: BufferPtr): void {
    const id = idOf(message)
    const envelope = envelopes.read(this.#core.session.segments.of(id), id)
    const call = this.#calls.get(envelope.call)
    if (call === undefined || envelope.kind < envelopes.VALUE || envelope.kind > envelopes.LOST)
      return message.release()
    if (envelope.kind === envelopes.ERROR || envelope.kind === envelopes.LOST) this.failed++
    call.accept(envelope, message)
  }

  /** A reply may be on its way to a call that has just ended. */
  #tidyLater(): void {
    this.#tidying ??= setTimeout(() => {
      this.#tidying = undefined
      if (this.#calls.size === 0) this.#drain()
    }, TIDY_MS).unref()
  }
}

/** The error of whatever ends, or begins, after this participant closed the service. */
export function closedHere(service: string): MillraceError {
  return new MillraceError('ERR_MILLRACE_CLOSED', `service '${service}' was closed here`)
}
