import type { WaitKey } from './wait-key.js'

/** After how long a wait is looked at, in ms. */
export const PATIENCE_MS = 2000

/** Waits that go on for long: each is looked at after two seconds, and again if asked to. Keeps no process alive. */
export class OverdueWaits {
  readonly #look: (key: WaitKey, what: string) => boolean
  /** Waits that are still to be looked at, by {@link WaitKey.id}. */
  readonly #waits = new Map<number, { readonly key: WaitKey; readonly what: string; readonly since: number }>()
  #timer: NodeJS.Timeout | undefined

  /** @param look is told of each wait, and of what does not happen; returns whether to look at it again in two seconds */
  constructor(look: (key: WaitKey, what: string) => boolean) {
    this.#look = look
  }

  /** A wait begins. `what` says what does not happen. */
  add(key: WaitKey, what: string): void {
    this.#waits.set(key.id, { key, what, since: performance.now() })
    this.#timer ??= setTimeout(() => this.#lookAtAll(), PATIENCE_MS).unref()
  }

  /** Nobody waits for that any more. */
  delete({ id }: WaitKey): void {
    this.#waits.delete(id)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#waits.clear()
  }

  #lookAtAll(): void {
    this.#timer = undefined
    const now = performance.now()
    let next = Infinity
    for (const { key, what, since } of this.#waits.values()) {
      const left = since + PATIENCE_MS - now
      if (left > 0) {
        next = Math.min(next, left)
      } else {
        this.#waits.delete(key.id)
        if (this.#look(key, what)) this.add(key, what)
      }
    }
    if (next !== Infinity) this.#timer ??= setTimeout(() => this.#lookAtAll(), Math.ceil(next)).unref()
  }
}

/** Tells by a process warning of a wait that went on for {@link PATIENCE_MS}. */
export function warnOfWait(
  code: 'MILLRACE_NO_QUEUE' | 'MILLRACE_NO_CONSUMER' | 'MILLRACE_NO_PRODUCER' | 'MILLRACE_NO_MEMORY',
  what: string,
  why: string,
): void {
  process.emitWarning(`${what} for ${PATIENCE_MS / 1000} s${why}`, { type: 'MillraceWarning', code })
}
