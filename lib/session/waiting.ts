import { isMainThread } from 'node:worker_threads'
import { onAbort } from './abort.js'
import { Doorbell } from './doorbell.js'
import type { Limits } from './ending.js'
import { MillraceError } from '../errors.js'
import { BATCH_MAX, KIND_POOL, QUEUE_POOL } from '../native/generated/block.js'
import { STATUS_ARMED, STATUS_OK } from '../native/generated/codes.js'
import * as native from '../native/native.js'
import type { BlockingOptions, Spin } from '../options.js'
import { checkObject, checkSpin, checkTimeout, checkWait } from '../options.js'
import type { Session } from './session.js'
import { Spinner } from './spinner.js'
import type { Target } from './wait-key.js'
import { queueKey } from './wait-key.js'
import type { Attempt, Wait } from './waiter.js'
import { Waiter } from './waiter.js'

/** How long a blocked thread stays in native code, in ms: `worker.terminate()` takes effect in between. */
const BLOCK_SLICE_MS = 100

/** Everybody here who waits for one target, first come first served. Only the first tries, so order is kept. */
interface WaitList {
  readonly target: Target
  readonly waiters: Wait[]
  /** Whether a ring has been asked for and has not come. */
  armed: boolean
}

/** Who of one participant waits for what; one doorbell wakes exactly those whose target may be ready. */
export class Waiting {
  readonly #session: Session
  readonly #lists = new Map<number, WaitList>()
  readonly #spinner = new Spinner()
  #doorbell: Doorbell | undefined
  #onReports: (() => void) | undefined

  constructor(session: Session) {
    this.#session = session
  }

  /** Whether somebody waits for `target`: then newcomers queue up behind, so that order is kept. */
  has(target: Target): boolean {
    return this.#lists.size !== 0 && this.#lists.has(target.key)
  }

  /** Waits until `attempt` succeeds. `what` says in the timeout's message what did not happen. */
  wait<T>(target: Target, options: Limits | undefined, what: string, attempt: Attempt<T>): Promise<T> {
    try {
      checkWait(options)
      const result = this.has(target) ? undefined : this.#try(options, attempt)
      if (result !== undefined) return Promise.resolve(result)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#park(target, options, what, attempt)
  }

  /** Blocks this thread until `attempt` succeeds. */
  waitSync<T>(target: Target, options: BlockingOptions | undefined, what: string, attempt: Attempt<T>): T {
    const { timeout, allowBlocking = false, spin } = checkObject('options', options ?? {})
    const limit = checkTimeout('timeout', timeout)
    checkSpin(spin)
    if (isMainThread && !allowBlocking) {
      throw new MillraceError(
        'ERR_MILLRACE_WOULD_BLOCK',
        'a synchronous wait stops the event loop of the main thread: use the asynchronous form, or { allowBlocking: true }',
      )
    }
    const deadline = performance.now() + limit
    try {
      for (;;) {
        const result = this.#try(options, attempt)
        if (result !== undefined) return result
        const status = this.#armAt(target)
        if (status === STATUS_OK) continue
        if (status !== STATUS_ARMED) throw this.#session.failure(status, 'the wait')
        const left = deadline - performance.now()
        if (left <= 0) throw timeoutError(what, limit)
        if (this.#session.call((open) => open.waitSync(Math.ceil(Math.min(left, BLOCK_SLICE_MS))))) this.dispatch()
      }
    } finally {
      if (!this.has(target) && !this.#session.closed) this.#disarm(target)
    }
  }

  /** From now on the doorbell is heard even while nobody waits, and `onReports` is told of recovery reports. */
  listen(onReports: () => void): void {
    this.#onReports = onReports
    this.#doorbell ??= this.#openDoorbell()
    this.dispatch()
  }

  /** Wakes those whose target may be ready. */
  dispatch(): void {
    let found: number
    let reports = false
    do {
      if (native.ready(this.#session.handle) !== STATUS_OK) return
      found = native.resultCount()
      reports ||= native.hasReports()
      // Collected first: each pump uses the command block.
      const lists: WaitList[] = []
      for (let i = 0; i < found; i++) lists.push(...this.#readyLists(native.readyQueue(i), native.readyKind(i)))
      for (const list of lists) {
        list.armed = false
        this.#pump(list)
      }
    } while (found === BATCH_MAX)
    this.#hold()
    if (reports) this.#onReports?.()
  }

  /** Ends every wait with `ERR_MILLRACE_CLOSED`. */
  close(): void {
    this.#failAll(this.#session.closedFailure())
    this.#doorbell?.close()
  }

  /** Tries at once, then for as long as `options` or the session say to poll. */
  #try<T>(options: { spin?: Spin } | undefined, attempt: Attempt<T>): T | undefined {
    const result = attempt()
    return result === undefined ? this.#spinner.spin(options?.spin ?? this.#session.spin, attempt) : result
  }

  #park<T>(target: Target, options: Limits | undefined, what: string, attempt: Attempt<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#doorbell ??= this.#openDoorbell()
      const list = this.#listOf(target)
      const waiter = new Waiter(attempt, resolve, reject)
      list.waiters.push(waiter)
      // It has just been tried in vain.
      if (list.waiters.length === 1 && this.#arm(list) !== STATUS_ARMED) this.#pump(list)
      if (!waiter.settled) this.#limit(list, waiter, options, what)
      this.#hold()
    })
  }

  #openDoorbell(): Doorbell {
    const fd = this.#session.call((open) => open.doorbell())
    return new Doorbell(
      fd,
      () => this.dispatch(),
      (cause) => {
        const message = `the doorbell of domain '${this.#session.domain}' failed: ${cause.message}`
        this.#doorbell = undefined
        this.#failAll(new MillraceError('ERR_MILLRACE_IO', message, { cause }))
      },
    )
  }

  #failAll(error: MillraceError): void {
    for (const list of this.#lists.values()) {
      for (const waiter of list.waiters) waiter.fail(error)
      this.#drop(list)
    }
    this.#hold()
  }

  #listOf(target: Target): WaitList {
    let list = this.#lists.get(target.key)
    if (list === undefined) {
      list = { target, waiters: [], armed: false }
      this.#lists.set(target.key, list)
    }
    return list
  }

  /** The lists a ready pair means: the ring for the pool does not say for which size. */
  #readyLists(queue: number, kind: number): WaitList[] {
    if (queue === QUEUE_POOL) return [...this.#lists.values()].filter((list) => list.target.kind === KIND_POOL)
    const list = this.#lists.get(queueKey(queue, kind))
    return list === undefined ? [] : [list]
  }

  /** Lets waiters try in their order until one must go on waiting, and arms for that one. */
  #pump(list: WaitList): void {
    const { waiters } = list
    for (;;) {
      while (waiters[0]?.settle()) waiters.shift()
      if (waiters.length === 0) break
      const status = this.#arm(list)
      if (status === STATUS_ARMED) return
      if (status !== STATUS_OK) waiters.shift()!.fail(this.#session.failure(status, 'the wait'))
    }
    this.#drop(list)
  }

  /** Forgets a list that nobody is in any more. Left armed, it would swallow the ring for somebody else. */
  #drop({ target, armed }: WaitList): void {
    this.#lists.delete(target.key)
    if (armed && !this.#session.closed) this.#disarm(target)
  }

  /** Ends the wait when its time is over, its signal aborts or whoever waits ends. */
  #limit<T>(list: WaitList, waiter: Waiter<T>, options: Limits | undefined, what: string): void {
    const limit = checkTimeout('timeout', options?.timeout)
    if (limit !== Infinity) {
      const expire = () => {
        // It may have come while the event loop was busy elsewhere: whoever is first has a last try.
        if (list.waiters[0] !== waiter || !waiter.settle()) waiter.fail(timeoutError(what, limit))
      }
      const timer = setTimeout(() => this.#leave(list, waiter, expire), limit)
      waiter.onEnd(() => clearTimeout(timer))
    }
    const end = (reason: unknown) => this.#leave(list, waiter, () => waiter.fail(reason))
    const ending = options?.ending
    if (ending !== undefined) waiter.onEnd(ending.onEnd(() => end(undefined)))
    const signal = options?.signal
    if (signal !== undefined) waiter.onEnd(onAbort(signal, () => end(signal.reason)))
  }

  #leave(list: WaitList, waiter: Wait, end: () => void): void {
    end()
    list.waiters.splice(list.waiters.indexOf(waiter), 1)
    if (list.waiters.length === 0) {
      this.#drop(list)
    } else {
      this.#pump(list)
    }
    this.#hold()
  }

  #arm(list: WaitList): native.Status {
    const status = this.#armAt(list.target)
    list.armed = status === STATUS_ARMED
    return status
  }

  #armAt({ queue, kind, bytes }: Target): native.Status {
    return native.arm(this.#session.handle, queue, kind, bytes)
  }

  #disarm({ queue, kind }: Target): void {
    if (kind === KIND_POOL && this.#readyLists(QUEUE_POOL, kind).length > 0) return
    native.disarm(this.#session.handle, queue, kind)
  }

  /** The process stays alive exactly as long as somebody waits. */
  #hold(): void {
    this.#doorbell?.hold(this.#lists.size > 0)
  }
}

function timeoutError(what: string, limit: number): MillraceError {
  return new MillraceError('ERR_MILLRACE_TIMEOUT', `${what} within ${Math.ceil(limit)} ms`)
}
