import { setImmediate } from 'node:timers'
import { setTimeout } from 'node:timers/promises'
import { onAbort } from '../../session/cancel.js'

/** The time that blocks go by. */
export interface Clock {
  /** ms since some moment. */
  now(): number
  /** Resolves so many ms later. @throws the reason of `signal` */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export const realClock: Clock = {
  now: () => performance.now(),
  async sleep(ms, signal) {
    signal.throwIfAborted()
    try {
      await setTimeout(ms, undefined, { signal })
    } catch {
      signal.throwIfAborted()
    }
  },
}

interface Sleeper {
  readonly due: number
  readonly wake: () => void
}

/** A time that passes only when the event loop has nothing else to do, and then at once to when somebody is to wake. */
export class VirtualClock implements Clock {
  readonly #end: number
  readonly #onEnd: () => void
  readonly #sleepers = new Set<Sleeper>()
  #now = 0
  #isPassing = false

  /** @param onEnd called when nobody is to wake until `end`, in ms */
  constructor(end: number, onEnd: () => void) {
    this.#end = end
    this.#onEnd = onEnd
  }

  now(): number {
    return this.#now
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      const wake = () => {
        forget()
        resolve()
      }
      const sleeper: Sleeper = { due: this.#now + ms, wake }
      const forget = onAbort(signal, () => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason as Error)
      })
      this.#sleepers.add(sleeper)
      this.#pass()
    })
  }

  /** What has been sent is taken by the second turn of the event loop. */
  #pass(): void {
    if (this.#isPassing) return
    this.#isPassing = true
    setImmediate(() =>
      setImmediate(() => {
        this.#isPassing = false
        this.#wakeNext()
      }),
    )
  }

  #wakeNext(): void {
    const [next] = [...this.#sleepers].toSorted((one, other) => one.due - other.due)
    if (next === undefined) return
    if (next.due > this.#end) return this.#onEnd()
    this.#now = next.due
    this.#sleepers.delete(next)
    next.wake()
    if (this.#sleepers.size > 0) this.#pass()
  }
}
