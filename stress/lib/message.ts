// Messages that tell who sent them, when, and whether they are whole.
import { isIntact, write } from '../../__test__/fixtures/content.js'

const SEQUENCE = 4
const SENT_AT = 12
/** Bytes in front of the content. */
export const HEAD_BYTES = 20

/** Now, in µs of the clock that all processes of this machine share. */
export function nowUs(): number {
  return Number(process.hrtime.bigint()) / 1e3
}

/** Makes `bytes` message `sequence` of `sender`. */
export function fill(bytes: Uint8Array, sender: number, sequence: number): void {
  write(bytes.subarray(HEAD_BYTES), sender, sequence)
  const head = headOf(bytes)
  head.setUint32(0, sender)
  head.setFloat64(SEQUENCE, sequence)
  head.setFloat64(SENT_AT, nowUs())
}

/** What a message says, and how long it was on its way. */
export function read(bytes: Uint8Array): { sender: number; sequence: number; us: number; intact: boolean } {
  const us = nowUs()
  const head = headOf(bytes)
  const sender = head.getUint32(0)
  const sequence = head.getFloat64(SEQUENCE)
  const intact = isIntact(bytes.subarray(HEAD_BYTES), sender, sequence)
  return { sender, sequence, us: us - head.getFloat64(SENT_AT), intact }
}

function headOf({ buffer, byteOffset }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, HEAD_BYTES)
}
