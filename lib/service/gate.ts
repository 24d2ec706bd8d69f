import { onAbort } from '../session/abort.js'
import { MillraceError } from '../errors.js'
import type { WaitOptions } from '../options.js'

/** Lets a bounded number in, first come first served. */
export class Gate {
  readonly limit: number
  readonly #what: string
  readonly #waiting = new Set<() => void>()
  #inside = 0

  constructor(limit: number, what: string) {
    this.limit = limit
    this.#what = what
  }

  /** Enters if there is room, and nobody waits. */
  tryEnter(): boolean {
    if (this.#inside >= this.limit) return false
    this.#inside++
    return true
  }

  /** Waits for room. */
  enter({ timeout, signal }: WaitOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const ends: (() => void)[] = []
      const admit = () => leave(resolve)
      const leave = (end: () => void) => {
        this.#waiting.delete(admit)
        for (const undo of ends) undo()
        end()
      }
      this.#waiting.add(admit)
      if (timeout !== undefined && timeout !== Infinity) {
        const expire = () =>
          reject(new MillraceError('ERR_MILLRACE_TIMEOUT', `${this.#what} within ${Math.ceil(timeout)} ms`))
        const timer = setTimeout(() => leave(expire), timeout)
        ends.push(() => clearTimeout(timer))
      }
      if (signal !== undefined) ends.push(onAbort(signal, () => leave(() => reject(signal.reason))))
    })
  }

  /** Makes room, which goes to whoever waits longest. */
  leave(): void {
    const [next] = this.#waiting
    if (next === undefined) this.#inside--
    else next()
  }
}
