import type { WaitKey } from './wait-key.js'

/** How long a wait goes on before it is looked whether anybody has created the queue, in ms. */
const PATIENCE_MS = 2000

/** Tells, by a process warning each, of queues that are waited for and that nobody has created. */
export class MissingQueues {
  readonly #isMissing: (queue: number) => boolean
  /** Waits that have not been looked at, by {@link WaitKey.id}. */
  readonly #waits = new Map<number, { readonly queue: number; readonly what: string; readonly since: number }>()
  readonly #told = new Set<number>()
  #timer: NodeJS.Timeout | undefined

  constructor(isMissing: (queue: number) => boolean) {
    this.#isMissing = isMissing
  }

  /** A wait begins at a queue. `what` says what does not happen. */
  add({ id, queue }: WaitKey, what: string): void {
    this.#waits.set(id, { queue, what, since: performance.now() })
    this.#timer ??= setTimeout(() => this.#look(), PATIENCE_MS).unref()
  }

  /** Nobody waits for that any more. */
  delete({ id }: WaitKey): void {
    this.#waits.delete(id)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#waits.clear()
  }

  #look(): void {
    this.#timer = undefined
    const now = performance.now()
    let next = Infinity
    for (const [id, { queue, what, since }] of this.#waits) {
      const left = since + PATIENCE_MS - now
      if (left > 0) {
        next = Math.min(next, left)
        continue
      }
      this.#waits.delete(id)
      if (!this.#told.has(queue) && this.#isMissing(queue)) this.#tell(queue, what)
    }
    if (next !== Infinity) this.#timer = setTimeout(() => this.#look(), Math.ceil(next)).unref()
  }

  #tell(queue: number, what: string): void {
    this.#told.add(queue)
    const message = `${what} for ${PATIENCE_MS / 1000} s, because nobody has created it: somebody has to name its options`
    process.emitWarning(message, { type: 'MillraceWarning', code: 'MILLRACE_NO_QUEUE' })
  }
}
