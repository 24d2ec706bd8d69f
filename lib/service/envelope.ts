// What a message of a service carries beside its payload: words of the buffer's header, so that the payload stays where and as
// it is. `sequence`, `tag` and `source` are taken; timestamp and typeId remain the user's.
//
//   source        participant (8 bits) | kind (8) | request: retries (8) | window (8)   reply: run (8)
//   sequence low  number of the call, unique for the client
//   sequence high epoch of the participant
//   tag low       request: deadline   reply: position in the stream   control: credit
//   tag high      request: state, see below; nobody else's
//
// The state of a request is changed by the client (cancelled) and by servers (a run begins) in one compare-and-exchange each, so
// that a request that its client saw end unstarted is never run:
//
//   cancelled (1 bit) | runs begun (7) | participant of the last run + 1 (8) | low half of its epoch (16)
import { HEADER_REFS, HEADER_SEQUENCE, HEADER_SOURCE, HEADER_TAG } from '../native/generated/layout.js'
import type { Segment } from '../session/segments.js'

export const REQUEST = 1
export const STREAM = 2
export const VALUE = 3
export const CHUNK = 4
export const END = 5
export const ERROR = 6
export const LOST = 7
export const CANCEL = 8
export const CREDIT = 9
const KIND_MASK = 0x7f
/** Added to the kind of a request that has a deadline. */
export const HAS_DEADLINE = 0x80

/** Most runs that can be counted. */
export const RETRIES_MAX = 100
/** Most items of a stream that can be under way. */
export const WINDOW_MAX = 255

// A long is two words, the low one first: Millrace runs on little-endian machines only.
const CALL = HEADER_SEQUENCE * 2
const EPOCH = HEADER_SEQUENCE * 2 + 1
const DETAIL = HEADER_TAG * 2
const STATE = HEADER_TAG * 2 + 1

/** A participant, and which life of its slot. */
export interface Address {
  readonly slot: number
  readonly epoch: number
}

/** What every message says. */
export interface Envelope extends Address {
  readonly kind: number
  readonly call: number
  /** Request: deadline. Reply: position in the stream. Control: credit. */
  readonly detail: number
  /** Request: how often it may be run again. Reply: which run it comes from. */
  readonly run: number
  /** Request: items of the reply that may be under way. */
  readonly window: number
  /** Request: whether `detail` is a deadline. */
  readonly limited: boolean
}

/** Who has run a request, and whether it is still wanted. */
export interface State {
  readonly cancelled: boolean
  readonly runs: number
  /** Undefined: nobody yet. */
  readonly slot: number | undefined
  /** Low half of the epoch of that participant. */
  readonly epochLow: number
}

/** How a server's claim to run a request ended: the number of the run, or why there will be none. */
export type Claim = number | 'cancelled' | 'spent'

/** Writes an envelope. Words one by one, without an object: this is done for every message. */
export function write(
  segment: Segment,
  id: number,
  from: Address,
  kind: number,
  call: number,
  detail: number,
  run: number,
  window: number,
): void {
  segment.setWord(id, HEADER_SOURCE, from.slot | (kind << 8) | (run << 16) | (window << 24))
  segment.setWord(id, CALL, call)
  segment.setWord(id, EPOCH, from.epoch)
  segment.setWord(id, DETAIL, detail)
}

/** Makes a request new: nobody has run it. */
export function resetState(segment: Segment, id: number): void {
  segment.setWord(id, STATE, 0)
}

export function read(segment: Segment, id: number): Envelope {
  const source = segment.word(id, HEADER_SOURCE)
  const kind = (source >>> 8) & 0xff
  return {
    slot: source & 0xff,
    kind: kind & KIND_MASK,
    limited: (kind & HAS_DEADLINE) !== 0,
    run: (source >>> 16) & 0xff,
    window: source >>> 24,
    call: segment.word(id, CALL),
    epoch: segment.word(id, EPOCH),
    detail: segment.word(id, DETAIL),
  }
}

/** References to the message, of everybody together. Of one that shares its buffer nobody knows: as many as there can be. */
export function references(segment: Segment, id: number): number {
  return segment.isCell(id) ? Infinity : segment.word(id, HEADER_REFS)
}

export function stateOf(segment: Segment, id: number): State {
  return unpack(segment.word(id, STATE))
}

/** Begins a run by `server`, unless the request is cancelled or has been run `runsMax` times. */
export function claim(segment: Segment, id: number, server: Address, runsMax: number): Claim {
  for (let word = segment.word(id, STATE); ;) {
    const { cancelled, runs } = unpack(word)
    if (cancelled) return 'cancelled'
    if (runs >= runsMax) return 'spent'
    const next = (((runs + 1) << 1) | ((server.slot + 1) << 8) | (server.epoch << 16)) >>> 0
    const found = segment.exchangeWord(id, STATE, word, next)
    if (found === word) return runs + 1
    word = found
  }
}

/** Says that nobody wants the request any more: no run begins after this. Answers the state it was in. */
export function cancel(segment: Segment, id: number): State {
  for (let word = segment.word(id, STATE); ;) {
    const found = segment.exchangeWord(id, STATE, word, (word | 1) >>> 0)
    if (found === word) return unpack(word)
    word = found
  }
}

function unpack(word: number): State {
  const slot = (word >>> 8) & 0xff
  return {
    cancelled: (word & 1) !== 0,
    runs: (word >>> 1) & 0x7f,
    slot: slot === 0 ? undefined : slot - 1,
    epochLow: word >>> 16,
  }
}

/** Milliseconds on the clock that all processes of a machine share, modulo 2 ** 32. */
export function clock(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return (seconds * 1000 + Math.ceil(nanoseconds / 1e6)) % 2 ** 32
}

/** The time `ms` from now. Timeouts are shorter than half the clock's range, so that differences have a sign. */
export function deadlineIn(ms: number): number {
  return (clock() + Math.ceil(ms)) % 2 ** 32
}

/** Milliseconds until then; negative afterwards. */
export function timeUntil(deadline: number): number {
  return (deadline - clock()) | 0
}
