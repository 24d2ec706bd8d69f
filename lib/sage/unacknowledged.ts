import type { BufferPtr } from '../memory/buffer-ptr.js'
import { MillraceError } from '../errors.js'

/**
 * When a value that was got counts as finished:
 * - `taskDone`: when `taskDone()` says so. Whatever is not finished when the queue is closed goes back to it.
 * - `get`: at once. It is lost when its worker dies.
 * - `auto` (default): as `taskDone` from the first call of `taskDone()` on. A program that never calls it is taken to have
 *   finished a value when it has got 32 later ones, or 1 MiB of them, or comes to the end: of a queue that was shut down, or of
 *   its own use of it.
 */
export type Acknowledge = (typeof ACKNOWLEDGE)[number]

export const ACKNOWLEDGE = ['auto', 'taskDone', 'get'] as const

/** What a program that has never called `taskDone()` keeps in hand. */
const AUTO_VALUES_MAX = 32
const AUTO_BYTES_MAX = 2 ** 20

interface Task {
  readonly value: unknown
  readonly message: BufferPtr
  readonly bytes: number
}

/** The values that one end of a queue has got and not finished, oldest first. Each is leased: it comes back if we die. */
export class Hand {
  readonly #subject: string
  readonly #acknowledge: Acknowledge
  readonly #onDone: () => void
  readonly #tasks: Task[] = []
  #bytes = 0
  /** Values that counted as finished before `taskDone()` was called for them. */
  #assumed = 0
  #told: boolean

  constructor(subject: string, acknowledge: Acknowledge, onDone: () => void) {
    this.#subject = subject
    this.#acknowledge = acknowledge
    this.#told = acknowledge === 'taskDone'
    this.#onDone = onDone
  }

  get size(): number {
    return this.#tasks.length
  }

  /** Whether there is something that needs no `taskDone()`. */
  get settleable(): boolean {
    return this.#tasks.length > 0 && !this.#told
  }

  take(value: unknown, message: BufferPtr): void {
    const bytes = message.length
    this.#tasks.push({ value, message, bytes })
    this.#bytes += bytes
    while (this.#isTooMuch()) {
      this.#assumed++
      this.#remove(0).release()
      this.#onDone()
    }
  }

  /** `value`, or the oldest one, is finished. */
  done(value: readonly unknown[]): void {
    this.#told ||= this.#acknowledge === 'auto'
    if (this.#tasks.length === 0 && this.#assumed > 0) {
      this.#assumed--
      return
    }
    this.#remove(this.#find(value, 'taskDone')).release()
    this.#onDone()
  }

  /** `value`, or the oldest one, goes back to the queue. */
  giveBack(value: readonly unknown[]): void {
    this.#remove(this.#find(value, 'giveBack')).nack()
  }

  /** Empties the hand. `orderly`: a program that never called `taskDone()` has finished what it has. */
  empty(orderly: boolean): void {
    const finished = orderly && this.settleable
    while (this.#tasks.length > 0) {
      const message = this.#remove(0)
      if (finished) message.release()
      else message.nack()
    }
    if (finished) this.#onDone()
  }

  #isTooMuch(): boolean {
    if (this.#acknowledge === 'get') return this.#tasks.length > 0
    if (this.#told) return false
    return this.#tasks.length > AUTO_VALUES_MAX || (this.#tasks.length > 1 && this.#bytes > AUTO_BYTES_MAX)
  }

  #find(value: readonly unknown[], call: string): number {
    const index = value.length === 0 ? 0 : this.#tasks.findIndex((task) => Object.is(task.value, value[0]))
    if (index >= 0 && index < this.#tasks.length) return index
    const what = value.length === 0 ? 'nothing' : 'that value not'
    throw new MillraceError(
      'ERR_MILLRACE_NOT_HELD',
      `${call}(): ${what} of ${this.#subject} is in hand (${this.#tasks.length} values are)`,
    )
  }

  #remove(index: number): BufferPtr {
    const [task] = this.#tasks.splice(index, 1)
    this.#bytes -= task!.bytes
    return task!.message
  }
}
