import { Buffer } from 'node:buffer'
import type { Encoded } from '../codec/codec.js'
import { lengthOf } from '../codec/views.js'
import { STAGE_BYTES } from '../native/generated/block.js'
import * as native from '../native/native.js'

/** The message does not go over the stage. */
export const NOT_STAGED = -1

/** Larger messages are written straight into their buffers: copying twice costs more than a second crossing. Bytes. */
const STAGED_MAX = 4096
/** UTF-8 bytes of one UTF-16 unit at most. */
const UTF8_MAX = 3

/** Bound once: to look `set` up at each message costs a third of what it does. */
const setBytes = native.stage.set.bind(native.stage)
const text = Buffer.from(native.stage.buffer, native.stage.byteOffset, STAGE_BYTES)

/** Puts `encoded` onto the stage at `offset`, as message `index`; returns where it ends, or {@link NOT_STAGED}. */
export function stageAt(index: number, offset: number, encoded: Encoded): number {
  let bytes: number
  if (encoded instanceof Uint8Array) {
    bytes = lengthOf(encoded)
    if (bytes > STAGED_MAX || bytes > STAGE_BYTES - offset) return NOT_STAGED
    setBytes(encoded, offset)
  } else if (typeof encoded === 'string') {
    const most = encoded.length * UTF8_MAX
    if (most > STAGED_MAX || most > STAGE_BYTES - offset) return NOT_STAGED
    bytes = text.write(encoded, offset)
  } else {
    // Its writer is user code, which may use the stage for something else meanwhile.
    return NOT_STAGED
  }
  native.setLength(index, bytes)
  return offset + bytes
}

/** Appends copies of the first `count` messages on the stage to `copies`, which it returns. */
export function takeStaged(count: number, copies: Uint8Array<ArrayBuffer>[] = []): Uint8Array<ArrayBuffer>[] {
  for (let i = 0, from = 0; i < count; i++) {
    const end = from + native.lengthAt(i)
    copies.push(native.stage.slice(from, end))
    from = end
  }
  return copies
}
