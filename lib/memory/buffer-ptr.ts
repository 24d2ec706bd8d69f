import { textOf } from '../codec/codec.js'
import { isMarkedNoValue, isNoValue } from '../codec/no-value.js'
import { invalidArgument, MillraceError, misuse } from '../errors.js'
import { BATCH_MAX, RECEIVED } from '../native/generated/block.js'
import { STATUS_OK } from '../native/generated/codes.js'
import {
  HEADER_SEQUENCE,
  HEADER_SOURCE,
  HEADER_TAG,
  HEADER_TIMESTAMP,
  HEADER_TIMESTAMP_KIND,
  HEADER_TYPE_ID,
  REDELIVERED,
} from '../native/generated/layout.js'
import * as native from '../native/native.js'
import { checkBoolean, checkInteger, checkWord } from '../check.js'
import type { Messages } from '../session/messages.js'
import type { Session } from '../session/session.js'
import { giveBack, releaseNamed } from './release.js'

/** What a timestamp counts: nothing, ns since the Unix epoch, ns on a clock of this machine, or samples. */
export type TimestampKind = (typeof TIMESTAMP_KINDS)[number]

const TIMESTAMP_KINDS = ['none', 'absolute', 'relative', 'sample'] as const

/** A constructor of typed arrays, e.g. `Float32Array`. */
export interface TypedArrayConstructor<V> {
  /** Size of an element. */
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer, byteOffset: number, length: number): V
}

// What the rest of the facade may do with a reference; assigned by the class, which alone sees its fields.

/** @internal Names `reference` as argument `index` of the next operation, if `session` may send it now. */
export let nameToSend: (index: number, reference: BufferPtr, session: Session) => void

/** @internal As {@link nameToSend}, of a reference that has just been checked. */
export let nameChecked: (index: number, reference: BufferPtr) => void

/**
 * @internal What is in `references` now, for it may be something else at the next look. @throws unless `session` may send all of it now,
 * each once.
 */
export let checkSendable: (references: readonly BufferPtr[], session: Session) => readonly BufferPtr[]

/** @internal The id of a reference that is alive. */
export let idOf: (reference: BufferPtr) => number

/**
 * @internal Ends `reference`, as a release does, but leaves it to the caller to release in native code the id it returns;
 * {@link NO_ID}: there is nothing to release any more.
 */
export let letGo: (reference: BufferPtr) => number

/** @internal `reference` has been sent. */
export let markSent: (reference: BufferPtr) => void

/** @internal `reference` has been released, in native code. */
export let markReleased: (reference: BufferPtr) => void

/** @internal Releases those of `references` that are still held, {@link BATCH_MAX} at a crossing. */
export let releaseAll: (session: Session, references: readonly BufferPtr[]) => void

/** @internal What {@link letGo} returns when there is nothing to release. */
export const NO_ID = -1

// States of a reference that has ended.
const SENT = -1
const RELEASED = -2
const RETURNED = -3
const FATES = ['', 'sent', 'released', 'given back']

/** Structured clone, as of `postMessage()`, refuses symbols, and says which. */
const UNCLONEABLE = Symbol('a BufferPtr: send it through a queue, or post its copy()')

/** Number of the last list of references that was checked; they come again. */
let lists = 0
const LISTS_MAX = 2 ** 30 - 1

/**
 * A counted reference to one buffer in shared memory: its bytes and metadata. Release it with `using`, or
 * {@link BufferPtr.release}; sending it to a queue hands it over. After either, everything but `release` and `nack` throws
 * `ERR_MILLRACE_RELEASED`, and after the manager was closed `ERR_MILLRACE_CLOSED`.
 *
 * A message of an at-least-once queue is leased until then: releasing it, or sending it on, acknowledges it. Until it is
 * acknowledged it comes back: by {@link BufferPtr.nack}, or when whoever has it closes its manager or dies.
 */
export class BufferPtr implements Disposable {
  /** Messages dropped on the queue just before this one. */
  readonly gap: number
  /** Which delivery of the message this is: 1 is the first; 0 for a buffer that was allocated here. */
  readonly attempt: number
  /** @internal */
  readonly uncloneable = UNCLONEABLE
  readonly #session: Session
  readonly #id: number
  readonly #lease: number
  /** While it is held the number of the last list it was found in, so that one list cannot have it twice; negative: what became of it. */
  #state = 0

  /** @internal */
  constructor(session: Session, id: number, gap = 0, lease = 0, attempt = 0) {
    this.gap = gap
    this.attempt = attempt
    this.#session = session
    this.#id = id
    this.#lease = lease
    if (session.ownViews !== undefined) session.ownViews.begin(this, id)
  }

  /** The bytes in use, a view of shared memory: no copy. Do not keep it beyond release. */
  get bytes(): Uint8Array<ArrayBuffer> {
    const segment = this.#segment()
    const { ownViews } = this.#session
    if (ownViews === undefined) return segment.view(this.#id)
    return new Uint8Array(ownViews.view(this, this.#id), 0, segment.length(this.#id))
  }

  /** Bytes in use; can be set to anything up to {@link BufferPtr.capacity}. */
  get length(): number {
    return this.#segment().length(this.#id)
  }

  set length(bytes: number) {
    const segment = this.#segment()
    segment.setLength(this.#id, checkInteger('length', bytes, 0, segment.capacity(this.#id)))
  }

  /** Bytes the buffer has room for. */
  get capacity(): number {
    return this.#segment().capacity(this.#id)
  }

  /**
   * When the content came to be, in ns (or samples), as {@link BufferPtr.timestampKind} says. Setting it on a buffer of
   * kind `none` makes that `relative`, the kind of `process.hrtime.bigint()`.
   */
  get timestamp(): bigint {
    return this.#segment().long(this.#id, HEADER_TIMESTAMP)
  }

  set timestamp(value: bigint) {
    this.#segment().setLong(this.#id, HEADER_TIMESTAMP, checkLong('timestamp', value))
    if (this.timestampKind === 'none') this.timestampKind = 'relative'
  }

  /** What {@link BufferPtr.timestamp} counts. */
  get timestampKind(): TimestampKind {
    return TIMESTAMP_KINDS[this.#segment().word(this.#id, HEADER_TIMESTAMP_KIND) % REDELIVERED] ?? 'none'
  }

  set timestampKind(kind: TimestampKind) {
    this.#describe(checkWord('timestampKind', kind, TIMESTAMP_KINDS), this.#isMarked())
  }

  /** A number of yours, 64 bits: the position of this message in its stream. */
  get sequence(): bigint {
    return this.#segment().long(this.#id, HEADER_SEQUENCE)
  }

  set sequence(value: bigint) {
    this.#segment().setLong(this.#id, HEADER_SEQUENCE, checkLong('sequence', value))
  }

  /** A number of yours, 64 bits. */
  get tag(): bigint {
    return this.#segment().long(this.#id, HEADER_TAG)
  }

  set tag(value: bigint) {
    this.#segment().setLong(this.#id, HEADER_TAG, checkLong('tag', value))
  }

  /** A number of yours, 32 bits: who made the content. */
  get source(): number {
    return this.#segment().word(this.#id, HEADER_SOURCE)
  }

  set source(value: number) {
    this.#segment().setWord(this.#id, HEADER_SOURCE, checkInteger('source', value, 0, 2 ** 32 - 1))
  }

  /** A number of yours, 32 bits: what the content is. */
  get typeId(): number {
    return this.#segment().word(this.#id, HEADER_TYPE_ID)
  }

  set typeId(value: number) {
    this.#segment().setWord(this.#id, HEADER_TYPE_ID, checkInteger('typeId', value, 0, 2 ** 32 - 1))
  }

  /**
   * True when this message has been delivered before, to somebody who died or gave it back; also after it was sent on. Who died may have done
   * with it what was to be done. Native blocks of a flow hand it on to what they make of such a message; a block of
   * JavaScript that makes a buffer of its own sets it there.
   */
  get redelivered(): boolean {
    return this.attempt > 1 || this.#isMarked()
  }

  /** Says it of what was made of such a message. */
  set redelivered(value: boolean) {
    const word = this.#segment().word(this.#id, HEADER_TIMESTAMP_KIND)
    this.#describe(word % REDELIVERED, checkBoolean('redelivered', value))
  }

  /** True once this reference has been released, sent or given back. */
  get released(): boolean {
    return this.#state < 0
  }

  /**
   * The bytes as a typed array, without copy.
   * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT` unless their number is a multiple of the element size
   */
  as<V>(type: TypedArrayConstructor<V>): V {
    const { buffer, byteOffset, length } = this.bytes
    const elements = length / type.BYTES_PER_ELEMENT
    if (!Number.isInteger(elements)) throw invalidArgument('length', `a multiple of ${type.BYTES_PER_ELEMENT}`, length)
    return new type(buffer, byteOffset, elements)
  }

  /** The bytes read as UTF-8. */
  text(): string {
    return textOf(this.bytes)
  }

  /** The bytes read as JSON. */
  json<V = unknown>(): V {
    return JSON.parse(this.text()) as V
  }

  /** A copy of the bytes outside shared memory, which outlives the release. */
  copy(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice()
  }

  /** A further reference to the same buffer, with a release of its own. As long as there are two, nobody should write. */
  share(): BufferPtr {
    this.#segment()
    native.setId(0, this.#id, this.#lease)
    const status = native.share(this.#session.handle, 1)
    if (status !== STATUS_OK) throw this.#session.failure(status, `buffer ${this.#id}`)
    const other = new BufferPtr(this.#session, this.#id, this.gap, native.leaseAt(0), this.attempt)
    this.#session.ownViews?.share(this, other)
    return other
  }

  /**
   * Lets go of the reference; the last one of a buffer frees it. Acknowledges a message of an at-least-once queue. Does
   * nothing the second time, or after it was sent or given back.
   */
  release(): void {
    if (this.#state < 0) return
    this.#settle(RELEASED)
    native.setId(0, this.#id, this.#lease)
    releaseNamed(this.#session, 1)
  }

  /**
   * Gives a message of an at-least-once queue back, unprocessed: it is delivered again, first in line, as the next
   * {@link BufferPtr.attempt}. Any other reference is just released, and so is a message whose queue was destroyed. Does
   * nothing after it was released, sent or given back.
   */
  nack(): void {
    if (this.#state < 0) return
    this.#settle(RETURNED)
    giveBack(this.#session, this.#id, this.#lease)
  }

  /** The same as {@link BufferPtr.release}, for `using`. */
  [Symbol.dispose](): void {
    this.release()
  }

  #isMarked(): boolean {
    return this.#segment().word(this.#id, HEADER_TIMESTAMP_KIND) >= REDELIVERED
  }

  #describe(timestampKind: number, redelivered: boolean): void {
    this.#segment().setWord(this.#id, HEADER_TIMESTAMP_KIND, timestampKind + (redelivered ? REDELIVERED : 0))
  }

  /** The segment, if this reference is alive. */
  #segment(): Messages {
    const session = this.#session
    if (this.#state < 0 || session.closed) throw this.#gone()
    return session.segments.of(this.#id)
  }

  #gone(): MillraceError {
    if (this.#state >= 0) return this.#session.closedFailure()
    const message = `this reference to buffer ${this.#id} has been ${FATES[-this.#state]}`
    return new MillraceError('ERR_MILLRACE_RELEASED', message)
  }

  /** Before somebody else sees the message. */
  #writeBack(): void {
    const { ownViews, segments } = this.#session
    ownViews?.writeBack(this, this.#id, () => segments.of(this.#id).length(this.#id))
  }

  #settle(state: number): void {
    this.#state = state
    const { ownViews, closed } = this.#session
    if (ownViews !== undefined && !closed) ownViews.end(this)
  }

  static {
    const check = (reference: BufferPtr, session: Session): void => {
      if (typeof reference !== 'object' || reference === null || !(#session in reference)) throw noReference(reference)
      if (reference.#session !== session) {
        throw foreign(reference.#id, reference.#session.domain, session.domain)
      }
      if (reference.#state < 0 || session.closed) throw reference.#gone()
    }
    nameToSend = (index, reference, session) => {
      check(reference, session)
      nameChecked(index, reference)
    }
    nameChecked = (index, reference) => {
      if (reference.attempt > 1) reference.redelivered = true
      if (reference.#session.ownViews !== undefined) reference.#writeBack()
      native.setId(index, reference.#id, reference.#lease)
    }
    checkSendable = (references, session) => {
      if (!Array.isArray(references)) throw invalidArgument('buffers', 'an array of BufferPtr', references)
      const list = lists < LISTS_MAX ? ++lists : (lists = 1)
      const { length } = references
      const checked = new Array<BufferPtr>(length)
      for (let i = 0; i < length; i++) {
        const reference = references[i]!
        check(reference, session)
        // Of the list of that number before the numbers came again, perhaps.
        if (reference.#state === list && checked.includes(reference)) {
          throw invalidArgument(`buffers[${i}]`, 'a reference that is not in the list already: share() it', reference)
        }
        reference.#state = list
        checked[i] = reference
      }
      return checked
    }
    idOf = (reference) => reference.#id
    letGo = (reference) => {
      if (reference.#state < 0 || reference.#lease !== RECEIVED || reference.#session.closed) {
        reference.release()
        return NO_ID
      }
      reference.#settle(RELEASED)
      return reference.#id
    }
    markSent = (reference) => reference.#settle(SENT)
    markReleased = (reference) => reference.#settle(RELEASED)
    releaseAll = (session, references) => {
      let named = 0
      for (const reference of references) {
        if (reference.#state < 0) continue
        reference.#settle(RELEASED)
        native.setId(named++, reference.#id, reference.#lease)
        if (named === BATCH_MAX) {
          releaseNamed(session, named)
          named = 0
        }
      }
      if (named > 0) releaseNamed(session, named)
    }
  }
}

isNoValue(BufferPtr, () => {
  throw misuse('a BufferPtr cannot be written as JSON: use its text(), json() or copy(), or send it through a queue')
})

/** Why buffer `id`, of a manager of domain `its`, cannot be sent by one of domain `ours`. */
function foreign(id: number, its: string, ours: string): MillraceError {
  const message =
    its === ours
      ? `buffer ${id} belongs to another ShmManager of domain "${its}" than the one that is to send it: open one for each process or thread, and use that for both`
      : `buffer ${id} belongs to domain "${its}" and is to be sent in domain "${ours}": copy it, by put(buffer.bytes)`
  return new MillraceError('ERR_MILLRACE_FOREIGN_BUFFER', message)
}

/** Why `value` cannot be sent. */
function noReference(value: unknown): MillraceError {
  if (value instanceof Uint8Array) {
    const rule = 'a BufferPtr: use put() to copy bytes in, or allocate(n) and its bytes.set() to send them'
    return invalidArgument('a buffer to send', rule, value)
  }
  if (!isOfAnotherCopy(value)) return invalidArgument('a buffer to send', 'a BufferPtr', value)
  const message =
    'a buffer to send is a BufferPtr of another copy of millrace in this process: load the package once (all by import, or all by ' +
    'require), or send it by a queue of the manager that it came from'
  return new MillraceError('ERR_MILLRACE_FOREIGN_BUFFER', message)
}

/** Objects of all copies that are no values are marked. */
function isOfAnotherCopy(value: unknown): boolean {
  return isMarkedNoValue(value) && 'uncloneable' in value
}

/** @internal The message that result `index` of the last native operation describes. */
export function messageAt(session: Session, index: number): BufferPtr {
  return new BufferPtr(session, native.idAt(index), native.gapAt(index), native.leaseAt(index), native.attemptAt(index))
}

function checkLong(what: string, value: unknown): bigint {
  if (typeof value === 'bigint' && BigInt.asUintN(64, value) === value) return value
  throw invalidArgument(what, 'a bigint from 0n to 2n ** 64n - 1n', value)
}
