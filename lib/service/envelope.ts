// What a message of a service carries beside its payload: words of the buffer's header, so that the payload stays where and as it is.
// What the words mean is defined, and drawn, in crates/core/src/service/envelope.rs. They are written here, one by one and without an
// object, because that is done for every message.
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { idOf } from '../memory/buffer-ptr.js'
import type { ParticipantId } from '../session/participant-id.js'
import {
  HAS_DEADLINE,
  KIND_SHIFT,
  MESSAGE_KINDS,
  RUN_SHIFT,
  SLOTS,
  WINDOW_SHIFT,
} from '../native/generated/envelope.js'
import { HEADER_REFS, HEADER_SEQUENCE, HEADER_SOURCE, HEADER_TAG } from '../native/generated/layout.js'
import { SHARED_CLOCK_OFFSET_MS } from '../native/native.js'
import { isCell } from '../session/messages.js'
import type { Session } from '../session/session.js'

// A long is two words, the low one first: Millrace runs on little-endian machines only.
const CALL = HEADER_SEQUENCE * 2
const EPOCH = HEADER_SEQUENCE * 2 + 1
const DETAIL = HEADER_TAG * 2
const STATE = HEADER_TAG * 2 + 1
const BYTE = 0xff

/** What every message says. */
export interface Envelope extends ParticipantId {
  readonly kind: number
  /** Number of the call, unique for the client. */
  readonly call: number
  /** Request: deadline. Reply: position in the stream. Credit: position up to which items may come. */
  readonly detail: number
  /** Request: how often it may be run again. Reply: which run it comes from. */
  readonly run: number
  /** Request: items of the reply that may be under way. */
  readonly window: number
  /** Request: whether `detail` is a deadline. */
  readonly limited: boolean
}

/** Writes an envelope into `message`, which nobody else changes. The state of a request is left alone, see {@link resetState}. */
export function write(
  session: Session,
  message: BufferPtr,
  from: ParticipantId,
  kind: number,
  call: number,
  detail: number,
  run: number,
  window: number,
): void {
  const id = idOf(message)
  const segment = session.segments.of(id)
  const source = from.slot | (kind << KIND_SHIFT) | (run << RUN_SHIFT) | (window << WINDOW_SHIFT)
  segment.setWord(id, HEADER_SOURCE, source)
  segment.setWord(id, CALL, call)
  segment.setWord(id, EPOCH, from.epoch)
  segment.setWord(id, DETAIL, detail)
}

/** Makes `message` a request that nobody has run. Nobody else has it yet. */
export function resetState(session: Session, message: BufferPtr): void {
  const id = idOf(message)
  session.segments.of(id).setWord(id, STATE, 0)
}

/** The envelope of `message`; undefined when there is none that somebody of this protocol wrote. */
export function read(session: Session, message: BufferPtr): Envelope | undefined {
  const id = idOf(message)
  const segment = session.segments.of(id)
  const source = segment.word(id, HEADER_SOURCE)
  const kind = (source >>> KIND_SHIFT) & BYTE & ~HAS_DEADLINE
  const slot = source & BYTE
  if (slot >= SLOTS || kind < 1 || kind > MESSAGE_KINDS) return undefined
  return {
    slot,
    kind,
    limited: ((source >>> KIND_SHIFT) & HAS_DEADLINE) !== 0,
    run: (source >>> RUN_SHIFT) & BYTE,
    window: source >>> WINDOW_SHIFT,
    call: segment.word(id, CALL),
    epoch: segment.word(id, EPOCH),
    detail: segment.word(id, DETAIL),
  }
}

/** References to the message, of everybody together. Of one that shares its buffer nobody knows: as many as there can be. */
export function references(session: Session, message: BufferPtr): number {
  const id = idOf(message)
  return isCell(id) ? Infinity : session.segments.of(id).word(id, HEADER_REFS)
}

/** Milliseconds on the clock that all processes of the machine share, modulo 2 ** 32. */
function clock(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return (seconds * 1000 + Math.ceil(nanoseconds / 1e6) + SHARED_CLOCK_OFFSET_MS) % 2 ** 32
}

/** The time `ms` from now. Timeouts are shorter than half the clock's range, so that differences have a sign. */
export function deadlineIn(ms: number): number {
  return (clock() + Math.ceil(ms)) % 2 ** 32
}

/** Milliseconds until then; negative afterwards. */
export function timeUntil(deadline: number): number {
  return (deadline - clock()) | 0
}
