import { MAX_TIMEOUT_MS } from '../../check.js'

/** Calls somebody when nothing has been heard for a time. It keeps nothing alive: what it watches does. */
export class Watchdog {
  #timer: NodeJS.Timeout | undefined
  #hasHeard = false

  /** Watches from now on, in place of what was watched before. `timeout` is in ms, or Infinity. */
  start(timeout: number, expired: () => void): void {
    this.stop()
    if (timeout === Infinity) return
    const timer = setTimeout(
      () => {
        this.#hasHeard = false
        // Timers come before messages: after the event loop was busy, what has come in time is still to be read.
        setImmediate(() => {
          if (this.#timer !== timer) return
          if (this.#hasHeard) timer.refresh()
          else expired()
        })
      },
      Math.min(timeout, MAX_TIMEOUT_MS),
    ).unref()
    this.#timer = timer
  }

  heard(): void {
    this.#hasHeard = true
    this.#timer?.refresh()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
