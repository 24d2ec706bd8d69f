import { MillraceError, show } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'

/**
 * When a value that was got counts as finished:
 * - `taskDone` (default): when `taskDone()` says so. Until then it is in work; it goes back to the queue when its end is closed or its
 *   process ends, in whatever way.
 * - `get`: at once. It is lost when its worker dies.
 */
export type Acknowledge = (typeof ACKNOWLEDGE)[number]

export const ACKNOWLEDGE = ['taskDone', 'get'] as const

interface Task {
  readonly value: unknown
  readonly message: BufferPtr
}

/** The values that one end of a queue has got and not finished. Each is leased: it comes back if we die. */
export class Unacknowledged {
  readonly #subject: string
  /** Oldest first. */
  readonly #tasks = new Set<Task>()
  /** The same by value, oldest first: values may be equal. */
  readonly #byValue = new Map<unknown, Task[]>()
  /** What no value could be made of, and the dead letters did not take. */
  readonly #unreadable: BufferPtr[] = []

  constructor(subject: string) {
    this.#subject = subject
  }

  /** Values that were got and are not finished. */
  get size(): number {
    return this.#tasks.size
  }

  /** Places among the leases of the queue that this end takes. */
  get leases(): number {
    return this.#tasks.size + this.#unreadable.length
  }

  add(value: unknown, message: BufferPtr): void {
    const task = { value, message }
    this.#tasks.add(task)
    const same = this.#byValue.get(value)
    if (same === undefined) this.#byValue.set(value, [task])
    else same.push(task)
  }

  /** Keeps a message that nobody can finish. It goes back when this end is closed. */
  setAside(message: BufferPtr): void {
    this.#unreadable.push(message)
  }

  /** Takes out `value`, or the oldest one. @throws {@link MillraceError} `ERR_MILLRACE_NOT_HELD` in the name of `call` */
  take(value: readonly unknown[], call: string): BufferPtr {
    const task = value.length === 0 ? this.#oldest() : this.#byValue.get(value[0])?.[0]
    if (task === undefined) {
      throw new MillraceError('ERR_MILLRACE_NOT_HELD', `${call}(): ${this.#unknown(value)}`)
    }
    this.#tasks.delete(task)
    const same = this.#byValue.get(task.value)!
    if (same.length === 1) this.#byValue.delete(task.value)
    else same.shift()
    return task.message
  }

  /** Gives everything back to the queue. */
  giveBack(): void {
    for (const { message } of this.#tasks) message.nack()
    for (const message of this.#unreadable.splice(0)) message.nack()
    this.#tasks.clear()
    this.#byValue.clear()
  }

  /** Why there is no task for `value`. */
  #unknown(value: readonly unknown[]): string {
    if (this.size === 0) return `no value of ${this.#subject} is in work at this end`
    const rule = typeof value[0] === 'object' ? ': pass the very object that get() returned, no copy of it' : ''
    return `${show(value[0])} was not got from ${this.#subject} at this end, or is finished already${rule} (${this.size} in work)`
  }

  #oldest(): Task | undefined {
    return this.#tasks.values().next().value
  }
}
