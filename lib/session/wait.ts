import { isMainThread } from 'node:worker_threads'
import { MillraceError } from '../errors.js'
import { BATCH_MAX, KIND_POOL, QUEUE_POOL } from '../native/generated/block.js'
import { STATUS_ARMED, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { Events } from './events.js'
import type { BlockingOptions, Limits, Spin } from './limits.js'
import { checkOptions, checkTimeout } from '../check.js'
import { BLOCKING_OPTIONS, checkSpin } from './limits.js'
import { type Doorbell, openDoorbell } from './doorbell.js'
import { OverdueWaits } from './overdue.js'
import { OwnMemory } from './own-memory.js'
import { Spinner } from './spinner.js'
import { TimeSlice } from './time-slice.js'
import type { WaitKey } from './wait-key.js'
import { waitId } from './wait-key.js'
import { WaitReasons } from './wait-reasons.js'
import { type Attempt, HoldCount, timeoutError, WaitList } from './wait-list.js'

/** How long a blocked thread stays in native code, in ms: `worker.terminate()` takes effect in between. */
const BLOCK_SLICE_MS = 100

const DONE = Promise.resolve()

/** What waits need of their session. */
export interface WaitSession {
  readonly domain: string
  readonly handle: number
  readonly closed: boolean
  readonly spin: Spin
  readonly events: Pick<Events, 'waiting'>
  call<T>(operation: (open: native.BindingManager) => T): T
  failure(status: native.Status, subject: string): MillraceError
  closedFailure(): MillraceError
  /** The error of an allocation for which there is no memory: it says who has it, and then `more`. */
  exhaustedFailure(bytes: number, more?: string): MillraceError
  /** Whether nobody but this participant can give memory back. */
  isOwnMemory(): boolean
}

/** Everybody here who waits for one thing. */
interface Place {
  readonly key: WaitKey
  readonly list: WaitList
  /** Whether native code has been asked to notify, and has not. */
  armed: boolean
}

/** Every wait of one participant. One doorbell wakes exactly those whose attempt may succeed. */
export class Waits {
  readonly #session: WaitSession
  readonly #places = new Map<number, Place>()
  readonly #spinner = new Spinner()
  readonly #slice = new TimeSlice()
  /** How many wait here for something but memory, and keep the process alive. */
  readonly #holds = new HoldCount()
  /** How many wait for their turn to wait: those whose turn it is keep the process alive. */
  readonly turns = new HoldCount()
  readonly #memory: OwnMemory
  readonly #overdue = new OverdueWaits((key, what) => this.#isOverdue(key, what))
  readonly #reasons: WaitReasons
  #doorbell: Doorbell | undefined
  #onReports: (() => void) | undefined
  #onDepartures: (() => void) | undefined

  constructor(session: WaitSession) {
    this.#session = session
    this.#reasons = new WaitReasons(session)
    this.#memory = new OwnMemory(
      () => session.isOwnMemory(),
      () => this.#hold(),
      () => this.#failOwnMemory(),
    )
  }

  /** How many calls wait here. */
  get calls(): number {
    return this.#holds.count + this.turns.count + this.#memory.holds.count
  }

  /** Whether somebody waits for `key`: then newcomers queue up behind, so that order is kept. */
  has(key: WaitKey): boolean {
    return this.#places.size !== 0 && this.#places.has(key.id)
  }

  /**
   * Waits until `attempt` succeeds. `what` says in the message of a timeout what did not happen.
   * @param tried whether it has just been tried in vain
   */
  wait<T>(key: WaitKey, limits: Limits, what: string, attempt: Attempt<T>, tried = false): Promise<T> {
    try {
      const result = this.has(key) ? undefined : this.#try(limits.spin, attempt, tried)
      if (result === undefined) return this.#park(key, limits, what, attempt)
      return limits.yields === true ? Promise.resolve(result) : this.doneWith(result)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * What a call returns that need not wait. Now and then that takes a turn of the event loop: a loop of such calls would keep timers and I/O
   * out for ever.
   */
  done(): Promise<void> {
    return this.#slice.exceeded() ? this.#slice.pass() : DONE
  }

  /** The same with a result. */
  doneWith<T>(result: T): Promise<T> {
    return this.#slice.exceeded() ? this.#slice.pass().then(() => result) : Promise.resolve(result)
  }

  /** Blocks this thread until `attempt` succeeds. */
  waitSync<T>(key: WaitKey, options: BlockingOptions | undefined, what: string, attempt: Attempt<T>): T {
    const { timeout, allowBlocking = false, spin } = checkOptions('a blocking wait', options ?? {}, BLOCKING_OPTIONS)
    const limit = checkTimeout('timeout', timeout)
    if (spin !== undefined) checkSpin(spin)
    if (isMainThread && !allowBlocking) {
      throw new MillraceError(
        'ERR_MILLRACE_WOULD_BLOCK',
        'a synchronous wait stops the event loop of the main thread: use the asynchronous form, or { allowBlocking: true }',
      )
    }
    const deadline = performance.now() + limit
    try {
      for (;;) {
        const result = this.#try(spin, attempt, false)
        if (result !== undefined) return result
        const status = this.#armAt(key)
        if (status === STATUS_OK) continue
        if (status !== STATUS_ARMED) throw this.#session.failure(status, 'the wait')
        const left = deadline - performance.now()
        if (left <= 0) throw timeoutError(what, limit, this.#reasons.of(key))
        if (this.#session.call((open) => open.waitSync(Math.ceil(Math.min(left, BLOCK_SLICE_MS))))) this.dispatch()
      }
    } finally {
      if (!this.has(key) && !this.#session.closed) this.#disarm(key)
    }
  }

  /** From now on the doorbell is read even while nobody waits, and `onReports` is told of recovery reports. */
  listen(onReports: () => void): void {
    this.#onReports = onReports
    this.#doorbell ??= this.#openDoorbell()
    this.dispatch()
  }

  /** From now on `onDepartures` is told, as long as somebody waits, when participants have left or died. It does not throw. */
  hearDepartures(onDepartures: () => void): void {
    this.#onDepartures = onDepartures
  }

  /** Keeps the process alive until {@link Waits.unref}, as a wait does. */
  ref(): void {
    this.#holds.count++
    this.#doorbell ??= this.#openDoorbell()
    this.#hold()
  }

  unref(): void {
    this.#holds.count--
    this.#hold()
  }

  /** Wakes those whose attempt may succeed. */
  dispatch(): void {
    this.#slice.restart()
    let found: number
    let reports = false
    let departures = false
    do {
      if (native.ready(this.#session.handle) !== STATUS_OK) return
      found = native.resultCount()
      reports ||= native.hasReports()
      departures ||= native.hasDepartures()
      // Collected first: each pump uses the command block.
      const places: Place[] = []
      for (let i = 0; i < found; i++) this.#collect(native.readyQueue(i), native.readyKind(i), places)
      for (const place of places) {
        place.armed = false
        this.#pump(place)
      }
    } while (found === BATCH_MAX)
    this.#hold()
    if (departures) this.#onDepartures?.()
    // Who looked for somebody who has left may have taken what is to be told.
    if (reports || this.#session.events.waiting) this.#onReports?.()
  }

  /** Ends every wait with `ERR_MILLRACE_CLOSED`. */
  close(): void {
    this.#failAll(this.#session.closedFailure())
    this.#overdue.close()
    this.#memory.close()
    this.#doorbell?.close()
  }

  /** Tries at once, then for as long as the caller or the session say to poll. */
  #try<T>(spin: Spin | undefined, attempt: Attempt<T>, tried: boolean): T | undefined {
    const result = tried ? undefined : attempt()
    return result === undefined ? this.#spinner.spin(spin ?? this.#session.spin, attempt) : result
  }

  #park<T>(key: WaitKey, limits: Limits, what: string, attempt: Attempt<T>): Promise<T> {
    this.#doorbell ??= this.#openDoorbell()
    const place = this.#placeOf(key, what)
    const promise = place.list.add(attempt, limits, what)
    // The first one has just tried in vain.
    if (place.list.size === 1 && this.#arm(place) !== STATUS_ARMED) this.#pump(place)
    this.#hold()
    return promise
  }

  #openDoorbell(): Doorbell {
    const end = this.#session.call((open) => open.doorbell())
    return openDoorbell(
      end,
      () => this.dispatch(),
      (cause) => {
        const message = `the doorbell of domain "${this.#session.domain}" failed: ${cause.message}`
        this.#doorbell = undefined
        this.#failAll(new MillraceError('ERR_MILLRACE_IO', message, { cause }))
      },
    )
  }

  /** Ends all waits for memory: this participant holds it all, and nothing else here goes on that could release any. */
  #failOwnMemory(): void {
    for (const place of this.#places.values()) {
      if (place.key.kind !== KIND_POOL) continue
      // Something may have been released by what was done last.
      this.#pump(place)
      if (place.list.size === 0) continue
      const why =
        '; waited for in vain: this very process holds it all, and has nothing else to do that could release any'
      place.list.failAll(this.#session.exhaustedFailure(place.key.bytes, why))
      this.#drop(place)
    }
    this.#hold()
  }

  #failAll(error: MillraceError): void {
    for (const place of this.#places.values()) {
      place.list.failAll(error)
      this.#drop(place)
    }
    this.#hold()
  }

  #placeOf(key: WaitKey, what: string): Place {
    const known = this.#places.get(key.id)
    if (known !== undefined) return known
    const onLeave = () => {
      if (place.list.size === 0) this.#drop(place)
      else this.#pump(place)
      this.#hold()
    }
    const holds = key.kind === KIND_POOL ? this.#memory.holds : this.#holds
    const list = new WaitList(onLeave, holds, () => this.#reasons.of(key))
    const place: Place = { key, list, armed: false }
    this.#places.set(key.id, place)
    this.#overdue.add(key, what)
    return place
  }

  /** Looks at a wait that goes on for long; whether to look again. */
  #isOverdue(key: WaitKey, what: string): boolean {
    const isForMemory = key.kind === KIND_POOL
    if (isForMemory) this.#memory.look()
    this.#reasons.warn(key, what)
    return isForMemory
  }

  /** Appends to `places` those a ready pair means: one notification stands for all sizes of the pool. */
  #collect(queue: number, kind: number, places: Place[]): void {
    if (queue === QUEUE_POOL) {
      for (const place of this.#places.values()) if (place.key.kind === KIND_POOL) places.push(place)
    } else {
      const place = this.#places.get(waitId(queue, kind))
      if (place !== undefined) places.push(place)
    }
  }

  /** Lets waiters try in their order until one must go on waiting, and arms for that one. */
  #pump(place: Place): void {
    const { list } = place
    for (;;) {
      list.pump()
      if (list.size === 0) break
      const status = this.#arm(place)
      if (status === STATUS_ARMED) return
      if (status !== STATUS_OK) list.failFirst(this.#session.failure(status, 'the wait'))
    }
    this.#drop(place)
  }

  /** Forgets a place that nobody is at any more. Left armed, it would take the notification for somebody else. */
  #drop({ key, armed }: Place): void {
    this.#places.delete(key.id)
    this.#overdue.delete(key)
    if (armed && !this.#session.closed) this.#disarm(key)
  }

  #arm(place: Place): native.Status {
    const status = this.#armAt(place.key)
    place.armed = status === STATUS_ARMED
    return status
  }

  #armAt({ queue, kind, bytes }: WaitKey): native.Status {
    return native.arm(this.#session.handle, queue, kind, bytes)
  }

  #disarm({ queue, kind }: WaitKey): void {
    if (kind === KIND_POOL) for (const { key } of this.#places.values()) if (key.kind === KIND_POOL) return
    native.disarm(this.#session.handle, queue, kind)
  }

  /** The process stays alive exactly as long as somebody waits. */
  #hold(): void {
    this.#doorbell?.hold(this.#holds.count > 0 || this.#memory.keepsAlive)
  }
}
