import type { ErrorCode } from '../errors.js'
import { callNative, MillraceError, show } from '../errors.js'
import * as codes from '../native/generated/codes.js'
import { Cancel } from './cancel.js'
import { Events } from './events.js'
import { Guard } from './guard.js'
import { OwnViews } from './own-views.js'
import type { BindingManager, Status } from '../native/native.js'
import { COPIES, NO_MANAGER } from '../native/native.js'
import type { Spin } from './limits.js'
import { CopiedMessages } from './copied-messages.js'
import type { AllMessages } from './messages.js'
import { Segments } from './segments.js'
import { isAlone, snapshotOf } from './snapshot.js'
import { Waits } from './wait.js'

/** What waiting for pool space means once the pool has grown to its limit; see {@link OpenOptions.exhausted}. */
export type ExhaustedPolicy = 'reject' | 'wait'

const openSessions = new Set<Session>()

/** A process or worker thread that ends without closing its managers still leaves in order, and says that it has ended, and how. */
function leaveAll(exitCode: number): void {
  for (const session of openSessions) session.close(exitCode)
}

/** What the objects of one ShmManager share. */
export class Session {
  readonly domain: string
  readonly segments: AllMessages
  readonly waits: Waits
  readonly events = new Events((operation) => this.call(operation))
  /** Those that references have for themselves; undefined: theirs are of whole segments. */
  readonly ownViews: OwnViews | undefined
  readonly exhausted: ExhaustedPolicy
  /** How long waits poll before they sleep. */
  readonly spin: Spin
  readonly #native: BindingManager
  readonly #closing = new Cancel()
  readonly #end = new Cancel()
  #handle: number
  #closed = false
  /** Calls that waited when it was closed. */
  #cutShort = 0

  constructor(native: BindingManager, domain: string, exhausted: ExhaustedPolicy, spin: Spin, guard: boolean) {
    this.domain = domain
    this.#handle = native.handle
    this.exhausted = exhausted
    this.spin = spin
    this.#native = native
    this.segments = COPIES
      ? new CopiedMessages(this)
      : new Segments((index) => this.call((open) => open.segment(index)))
    if (guard) this.ownViews = new Guard(native, domain)
    else if (COPIES) this.ownViews = new OwnViews(native)
    this.waits = new Waits(this)
    if (openSessions.size === 0) process.on('exit', leaveAll)
    openSessions.add(this)
  }

  /** Names this participant in hot operations. */
  get handle(): number {
    return this.#handle
  }

  get closed(): boolean {
    return this.#closed
  }

  /** A slow native call. @throws {@link MillraceError} */
  call<T>(operation: (native: BindingManager) => T): T {
    if (this.#closed) throw this.closedFailure()
    return callNative(() => operation(this.#native))
  }

  /** The error that `status` of a hot operation on `subject` means. */
  failure(status: Status, subject: string): MillraceError {
    if (status === codes.STATUS_ERROR) {
      const { code, message } = this.#native.takeError()
      return new MillraceError(code as ErrorCode, message)
    }
    if (status === codes.STATUS_MANAGER_CLOSED) return this.closedFailure()
    if (status === codes.STATUS_TOO_LARGE) return this.#tooLarge(subject)
    const [code, verb] = FAILURES[status] ?? (['ERR_MILLRACE_CORRUPT', `answered unknown status ${status}`] as const)
    return new MillraceError(code, `${subject} ${verb}`)
  }

  #tooLarge(subject: string): MillraceError {
    const { maxBytes } = snapshotOf(this)
    const message = `${subject} is more than domain ${show(this.domain)} can ever hold: its maxBytes is ${maxBytes}`
    return new MillraceError('ERR_MILLRACE_TOO_LARGE', message)
  }

  closedFailure(): MillraceError {
    const calls = this.#cutShort === 1 ? '1 call' : `${this.#cutShort} calls`
    const waited =
      this.#cutShort === 0
        ? ''
        : `; ${calls} waited when it was closed: await ${this.#cutShort === 1 ? 'it' : 'them'} first`
    return new MillraceError('ERR_MILLRACE_CLOSED', `the ShmManager of domain ${show(this.domain)} is closed${waited}`)
  }

  /** Calls `callback` with {@link Session.closedFailure} when the session closes, or at once. Returns how to end that. */
  onClose(callback: (error: MillraceError) => void): () => void {
    return this.#end.onCancel(() => callback(this.closedFailure()))
  }

  /** Calls `callback` before the session closes, while everything can still be done. Returns how to end that. */
  beforeClose(callback: () => void): () => void {
    return this.#closing.onCancel(callback)
  }

  /** Whether nobody but this participant can give memory back: it is alone, and no message waits for anybody. */
  isOwnMemory(): boolean {
    try {
      return isAlone(snapshotOf(this))
    } catch {
      // Damaged, of which whoever waits is told by what is next.
      return false
    }
  }

  /** The error of an allocation that failed. */
  allocationFailure(status: Status, bytes: number): MillraceError {
    if (status !== codes.STATUS_EXHAUSTED) return this.failure(status, `a buffer of ${bytes} bytes`)
    return this.exhaustedFailure(bytes)
  }

  /** The error of an allocation for which there is no memory: it says who has it, and then `more`. */
  exhaustedFailure(bytes: number, more = ''): MillraceError {
    const { code, message } = this.call((native) => native.explainExhausted(bytes))
    return new MillraceError(code as ErrorCode, message + more)
  }

  /**
   * Ends every wait, then gives back whatever is held and leaves the domain. Idempotent.
   * @param exitCode of the process or worker thread, if it ends and nobody has closed this
   */
  close(exitCode?: number): void {
    if (this.#closed) return
    try {
      this.#closing.cancel()
    } finally {
      // Whatever a damaged queue says to its removal: the participant leaves.
      this.#leave(exitCode)
    }
  }

  #leave(exitCode?: number): void {
    this.#closed = true
    this.#cutShort = this.waits.calls
    openSessions.delete(this)
    if (openSessions.size === 0) process.off('exit', leaveAll)
    this.waits.close()
    this.#end.cancel()
    // Native code gives the handle to the next manager that is opened.
    this.#handle = NO_MANAGER
    callNative(() => (exitCode === undefined ? this.#native.close() : this.#native.exit(exitCode)))
    this.segments.close()
  }
}

const FAILURES: Record<Status, readonly [ErrorCode, string]> = {
  [codes.STATUS_EMPTY]: ['ERR_MILLRACE_EMPTY', 'is empty'],
  [codes.STATUS_FULL]: ['ERR_MILLRACE_FULL', 'is full'],
  [codes.STATUS_CLOSED]: ['ERR_MILLRACE_CLOSED', 'is closed'],
  [codes.STATUS_DESTROYED]: ['ERR_MILLRACE_DESTROYED', 'was destroyed'],
  [codes.STATUS_NOT_FOUND]: ['ERR_MILLRACE_EMPTY', 'does not exist yet'],
  [codes.STATUS_NOT_HELD]: ['ERR_MILLRACE_NOT_HELD', 'is not held by this participant'],
}
