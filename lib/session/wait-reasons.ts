import type * as native from '../native/native.js'
import { KIND_POOL, KIND_SPACE } from '../native/generated/block.js'
import type { MillraceError } from '../errors.js'
import { warnOfWait } from './overdue.js'
import type { WaitKey } from './wait-key.js'

/** What is asked of the session. */
interface Asked {
  call<T>(operation: (open: native.BindingManager) => T): T
  exhaustedFailure(bytes: number): MillraceError
}

/** Why waits of a participant go on, as far as can be seen. */
export class WaitReasons {
  readonly #session: Asked
  /** Queues, and memory, that a warning has told of. */
  readonly #told = new Set<number>()

  constructor(session: Asked) {
    this.#session = session
  }

  /** Why what is waited for does not come, for the message of a timeout; empty: there is nothing to tell. */
  of({ kind, queue, bytes }: WaitKey): string {
    if (kind === KIND_POOL) return this.#whyNoMemory(bytes)
    return this.#isMissing(queue) ? ': nobody has created it' : ''
  }

  /** Tells by a process warning why a wait goes on, once of each queue, and of memory. `what` says what does not happen. */
  warn({ kind, queue, bytes }: WaitKey, what: string): void {
    if (this.#told.has(queue)) return
    if (kind === KIND_POOL) {
      warnOfWait('MILLRACE_NO_MEMORY', what, this.#whyNoMemory(bytes))
    } else if (this.#isMissing(queue)) {
      warnOfWait('MILLRACE_NO_QUEUE', what, `, because nobody has created it: ${whoCreates(what)} does`)
    } else if (kind === KIND_SPACE && this.#hasNoConsumer(queue)) {
      warnOfWait('MILLRACE_NO_CONSUMER', what, ', and nobody receives there: has it the same name on both sides?')
    } else {
      return
    }
    this.#told.add(queue)
  }

  #whyNoMemory(bytes: number): string {
    try {
      return `: ${this.#session.exhaustedFailure(bytes).message}`
    } catch {
      // Damaged, of which whoever allocates next is told; a timer has nobody to tell.
      return ''
    }
  }

  #hasNoConsumer(queue: number): boolean {
    return this.#looks((open) => open.queueRoles(queue)?.[1] === 0)
  }

  #isMissing(queue: number): boolean {
    return this.#looks((open) => open.queueInfo(queue) === null)
  }

  #looks(look: (open: native.BindingManager) => boolean): boolean {
    try {
      return this.#session.call(look)
    } catch {
      // Closed, or damaged, of which the wait itself tells.
      return false
    }
  }
}

/** Who makes the queue, or the topic, that is missing where `what` does not happen. */
function whoCreates(what: string): string {
  // In front of the name, in which anything may stand.
  const [noun = ''] = what.split("'", 1)
  if (noun.includes('subscription to topic ')) return 'who publishes bytes to it, or names its options,'
  if (noun.includes('topic ')) return 'who publishes bytes to it while somebody subscribes, or names its options,'
  return 'who sends bytes to it, or names its options,'
}
