import { Buffer } from 'node:buffer'
import type { Encoded } from '../codec/codec.js'
import { isBytes, lengthOf, prefixOf } from '../codec/views.js'
import { invalidArgument, misuse } from '../errors.js'
import { MIN_BUFFER_BYTES } from '../native/generated/limits.js'
import { checkInteger } from '../check.js'
import type { Limits } from '../session/limits.js'
import type { Session } from '../session/session.js'
import { allocateId, allocateWithin, checkBytes, tryAllocate } from './allocator.js'
import { type BufferPtr, idOf, NO_ID } from './buffer-ptr.js'
import { releaseIds } from './release.js'

/** How often a value may turn out to need more than it said. */
const GUESSES_MAX = 2

/** Bytes that `encoded` needs at most, now: it may need others at the next look. */
export function byteLengthOf(encoded: Encoded): number {
  if (typeof encoded === 'string') return Buffer.byteLength(encoded)
  if (isBytes(encoded)) return lengthOf(encoded)
  if (typeof encoded === 'object' && encoded !== null) {
    const { byteLength } = encoded
    if (typeof byteLength === 'number') return byteLength
  }
  throw invalidArgument('what encode returns', 'a Uint8Array, a text, or { byteLength, write }', encoded)
}

/** Id of a new buffer that holds `encoded`, which only the caller knows of; {@link NO_ID}: there is no memory now. */
export function storeEncoded(session: Session, encoded: Encoded): number {
  return guessing(encoded, () => {
    const bytes = byteLengthOf(encoded)
    const id = allocateId(session, bytes)
    if (id === NO_ID) return NO_ID
    let stored = false
    try {
      stored = store(session, id, encoded, bytes)
    } finally {
      if (!stored) releaseIds(session, [id])
    }
    return stored ? id : undefined
  })
}

/** A buffer that holds `encoded`; waits for memory if `wait`, which is by default as the session says. */
export async function storeLater(
  session: Session,
  encoded: Encoded,
  limits: Limits,
  wait = session.exhausted === 'wait',
): Promise<BufferPtr> {
  for (let guess = 1; ; guess++) {
    const bytes = byteLengthOf(encoded)
    checkBytes(bytes)
    const found = wait ? await allocateWithin(session, bytes, limits) : tryAllocate(session, bytes)
    const buffer = found ?? exhausted(session, encoded)
    let stored = false
    try {
      stored = store(session, idOf(buffer), encoded, bytes)
    } finally {
      if (!stored) buffer.release()
    }
    if (stored) return buffer
    if (guess === GUESSES_MAX) throw wrongGuess(encoded)
  }
}

/** There is no memory for `encoded` now. Returns if the session waits for some, throws if not. */
export function mustWaitForMemory(session: Session, encoded: Encoded): void {
  if (session.exhausted !== 'wait') exhausted(session, encoded)
}

function exhausted(session: Session, encoded: Encoded): never {
  throw session.exhaustedFailure(byteLengthOf(encoded))
}

/** What `encoded` is now, in memory that nobody else changes. */
export function detachEncoded(encoded: Encoded): Uint8Array | string {
  if (typeof encoded === 'string') return encoded
  if (isBytes(encoded)) return prefixOf(encoded, lengthOf(encoded)).slice()
  return guessing(encoded, () => {
    const bytes = byteLengthOf(encoded)
    checkBytes(bytes)
    const target = new Uint8Array(bytes)
    const written = writtenBy(encoded.write(target), target.length)
    return written === undefined ? undefined : target.subarray(0, written)
  })
}

/** How many items from `from` on fit the same size class, and the bytes that suffice for each. */
export function runOf(list: readonly Encoded[], from: number, to: number): { length: number; bytes: number } {
  let bytes = byteLengthOf(list[from]!)
  checkBytes(bytes)
  let room = MIN_BUFFER_BYTES
  while (room < bytes) room *= 2
  let end = from + 1
  for (; end < to; end++) {
    const next = byteLengthOf(list[end]!)
    if (next > room || (next <= room / 2 && room > MIN_BUFFER_BYTES)) break
    if (next > bytes) bytes = next
  }
  return { length: end - from, bytes }
}

/**
 * Writes `encoded` into buffer `id`, which was allocated with `room` bytes for it, and sets the bytes in use. False: it needs more
 * than that by now, or its writer has set a wrong guess right; it has to be stored anew.
 */
export function store(session: Session, id: number, encoded: Encoded, room: number): boolean {
  const messages = session.segments.of(id)
  if (typeof encoded === 'string') {
    messages.setText(id, encoded)
    return true
  }
  const bytes = byteLengthOf(encoded)
  if (bytes > room) return false
  if (isBytes(encoded)) {
    messages.setBytes(id, prefixOf(encoded, bytes))
    return true
  }
  checkBytes(bytes)
  return messages.setBy(id, bytes, (target) => writtenBy(encoded.write(target), bytes))
}

/** Bytes that a writer says it has written; undefined: its length was a wrong guess. */
function writtenBy(result: unknown, byteLength: number): number | undefined {
  if (result === null) return undefined
  return checkInteger('what write returns', result ?? byteLength, 0, byteLength)
}

/** Repeats `attempt` while it returns undefined because the length of `encoded` was a wrong guess. */
function guessing<R>(encoded: Encoded, attempt: () => R | undefined): R {
  for (let guess = 0; guess < GUESSES_MAX; guess++) {
    const result = attempt()
    if (result !== undefined) return result
  }
  throw wrongGuess(encoded)
}

function wrongGuess(encoded: Encoded): Error {
  const message = `what encode returns needed more than its byteLength each time, which is ${byteLengthOf(encoded)} now`
  return misuse(message)
}
