import type { OptionNames } from '../check.js'
import { isPromiseLike } from '../check.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { putBack } from '../memory/discard.js'
import type { Limits } from '../session/limits.js'
import { hasEnded } from '../session/limits.js'
import { TimeSlice } from '../session/time-slice.js'
import type { Receiver } from './receiver.js'

/** What {@link PortQueue.consume} calls for each message. A promise is awaited before the next message is taken. */
export type Handler = (message: BufferPtr) => void | Promise<void>

/** Options of {@link PortQueue.consume}. */
export interface ConsumeOptions {
  /** Ends the consumption, without error, after the message that is being handled. */
  signal?: AbortSignal
}

/** @internal */
export const CONSUME_OPTIONS: OptionNames<ConsumeOptions> = { signal: true }

/** @internal Hands message after message to `handler`, as long as there are any within a slice of time per turn of the event loop. */
export async function consume(receiver: Receiver, handler: Handler, limits: Limits): Promise<void> {
  const slice = new TimeSlice()
  // Released together with the next take.
  let done: BufferPtr | undefined
  for (;;) {
    if (hasEnded(limits)) return done?.release()
    let message = receiver.takeAfter(done)
    done = undefined
    if (message === undefined) {
      message = await untilEnded(receiver, limits)
      slice.restart()
    }
    if (message === null) return
    try {
      const handled = handler(message)
      if (isPromiseLike(handled)) await handled
    } catch (error) {
      putBack(message)
      throw error
    }
    if (slice.exceeded()) {
      message.release()
      await slice.pass()
    } else {
      done = message
    }
  }
}

async function untilEnded(receiver: Receiver, limits: Limits): Promise<BufferPtr | null> {
  try {
    return await receiver.wait(limits, () => receiver.take(), true)
  } catch (error) {
    if (hasEnded(limits)) return null
    throw error
  }
}
