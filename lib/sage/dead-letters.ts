import { type ErrorCode, hasCode } from '../errors.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { Sender } from '../queue/sender.js'
import type { Namespace } from './namespace.js'
import { deadLettersOf, isDeadLetters } from './options.js'
import { WorkQueue } from './work-queue.js'

/** Why there may be no queue for dead letters now: no memory, no place, another one of that name, or it was destroyed just now. */
const NO_QUEUE: readonly ErrorCode[] = [
  'ERR_MILLRACE_EXHAUSTED',
  'ERR_MILLRACE_NO_SPACE',
  'ERR_MILLRACE_LIMIT',
  'ERR_MILLRACE_OPTIONS_MISMATCH',
  'ERR_MILLRACE_DESTROYED',
]

/** Where values go that cannot be decoded: another SageQueue, `<name>.dead`, made when it is needed. */
export class DeadLetters<T> {
  readonly name: string
  readonly #namespace: Namespace
  readonly #source: WorkQueue<T>
  #open: { readonly queue: WorkQueue<T>; readonly sender: Sender } | undefined

  constructor(namespace: Namespace, source: WorkQueue<T>) {
    this.name = deadLettersOf(source.name)
    this.#namespace = namespace
    this.#source = source
  }

  /** Moves `message`, which so counts as finished. False: they are full, or cannot be made, and it is as it was. */
  tryMove(message: BufferPtr): boolean {
    if (isDeadLetters(this.#source.name)) return false
    try {
      this.#open ??= this.#make()
      return this.#open.sender.trySend(message)
    } catch (error) {
      // Without a queue the next message tries to make one.
      this.close()
      if (hasCode(error, ...NO_QUEUE)) return false
      throw error
    }
  }

  close(): void {
    this.#open?.queue.close()
    this.#open = undefined
  }

  #make() {
    const queue = WorkQueue.open(this.#namespace, this.name, { codec: this.#source.codec })
    return { queue, sender: new Sender(this.#namespace.session, queue.handle, `queue "${this.name}"`) }
  }
}
