import { onAbort } from '../session/cancel.js'

/** First come, first served. */
export class Line {
  #last: Promise<void> | undefined

  /** Whether somebody is in it. */
  get busy(): boolean {
    return this.#last !== undefined
  }

  /** Does `work` when everybody who came earlier is through. Leaves the line when `signal` aborts. */
  async queueUp<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#last
    let leave!: () => void
    const left = new Promise<void>((resolve) => (leave = resolve))
    this.#last = left
    try {
      if (before !== undefined) await untilAborted(before, signal)
      return await work()
    } finally {
      // Who gives up still stands between those before and behind.
      if (before === undefined) leave()
      else void before.then(leave)
      if (this.#last === left) void left.then(() => this.#leftBy(left))
    }
  }

  #leftBy(left: Promise<void>): void {
    if (this.#last === left) this.#last = undefined
  }
}

function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(signal.reason as Error)
    if (signal.aborted) return fail()
    const forget = onAbort(signal, fail)
    void promise.then(forget).then(resolve)
  })
}
