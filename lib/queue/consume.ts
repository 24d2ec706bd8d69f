import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { Inbox } from './receiver.js'
import { TimeSlice } from '../session/time-slice.js'

/** What {@link PortQueue.consume} calls for each message. A promise is awaited before the next message is taken. */
export type Handler = (message: BufferPtr) => void | Promise<void>

/** Options of {@link PortQueue.consume}. */
export interface ConsumeOptions {
  /** Ends the consumption, without error, after the message in hand. */
  signal?: AbortSignal
}

/** @internal Hands message after message to `handler`, as long as there are any within a slice of time per turn of the event loop. */
export async function consume(inbox: Inbox, handler: Handler, signal: AbortSignal | undefined): Promise<void> {
  const slice = new TimeSlice()
  // Released together with the next take.
  let done: BufferPtr | undefined
  for (;;) {
    if (signal?.aborted) return done?.release()
    let message = inbox.takeAfter(done)
    done = undefined
    if (message === undefined) {
      message = await untilAborted(inbox, signal)
      slice.restart()
    }
    if (message === null) return
    try {
      const handled = handler(message)
      if (isPromiseLike(handled)) await handled
    } catch (error) {
      message.nack()
      throw error
    }
    if (slice.spent()) {
      message.release()
      await slice.pass()
    } else {
      done = message
    }
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<void> {
  return typeof value === 'object' && value !== null && 'then' in value
}

async function untilAborted(inbox: Inbox, signal: AbortSignal | undefined): Promise<BufferPtr | null> {
  try {
    return await inbox.wait(signal && { signal }, () => inbox.take())
  } catch (error) {
    if (signal?.aborted) return null
    throw error
  }
}
