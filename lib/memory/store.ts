import { Buffer } from 'node:buffer'
import { checkBytes } from './allocator.js'
import type { Encoded } from '../codec/codec.js'
import { invalidArgument } from '../errors.js'
import { MIN_BUFFER_BYTES } from '../native/generated/limits.js'
import { checkInteger } from '../options.js'
import type { Session } from '../session/session.js'

/** Bytes that `encoded` needs at most. */
export function byteLengthOf(encoded: Encoded): number {
  if (typeof encoded === 'string') return Buffer.byteLength(encoded)
  if (typeof encoded === 'object' && encoded !== null && typeof encoded.byteLength === 'number')
    return encoded.byteLength
  throw invalidArgument('what encode returns', 'a Uint8Array, a text, or { byteLength, write }', encoded)
}

/**
 * Writes `encoded` into buffer `id`, which was allocated with its length, and sets the bytes in use. False: the length was a
 * wrong guess, which has been set right; store it anew.
 */
export function store(session: Session, id: number, encoded: Encoded): boolean {
  const segment = session.segments.of(id)
  const offset = segment.offset(id)
  if (encoded instanceof Uint8Array) {
    segment.payload.set(encoded, offset)
    segment.setLength(id, encoded.length)
  } else if (typeof encoded === 'string') {
    segment.setLength(id, Buffer.from(segment.payload.buffer, offset, segment.stride).write(encoded))
  } else {
    const { byteLength } = encoded
    const written = encoded.write(new Uint8Array(segment.payload.buffer, offset, byteLength))
    if (written === null) return false
    segment.setLength(id, checkInteger('what write returns', written ?? byteLength, 0, byteLength))
  }
  return true
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
