import { BufferPtr } from './buffer-ptr.js'

// For the ways of errors and of ends, where a second error would hide the first, or leave the rest undone. What these pass over is
// damage by others to the memory of one message: whoever uses that memory is told.

/** Releases `value`, if it is a message. Does not throw. */
export function discard(value: unknown): void {
  if (!(value instanceof BufferPtr)) return
  try {
    value.release()
  } catch {
    // See above.
  }
}

/** Gives `message` back to its queue, unprocessed. Does not throw. */
export function putBack(message: BufferPtr): void {
  try {
    message.nack()
  } catch {
    // See above.
  }
}
