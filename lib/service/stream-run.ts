import { show, misuse } from '../errors.js'
import { discard } from '../memory/discard.js'
import type { Run } from './run.js'

interface AnyIterator {
  next(): unknown
  return?(): unknown
}

interface AnyIterable {
  [Symbol.asyncIterator]?(): AnyIterator
  [Symbol.iterator]?(): AnyIterator
}

/** Sends the messages of a stream. */
interface StreamReplies {
  item(run: Run, position: number, value: unknown): Promise<unknown> | undefined
  end(run: Run, position: number): Promise<unknown> | undefined
}

/**
 * Sends what the handler's `result` yields, as far ahead as the client takes it. As soon as nobody wants it any more the source is told
 * to return, and is not waited for: it may be waiting itself, for something that never comes.
 */
export async function sendStream(run: Run, service: string, result: unknown, replies: StreamReplies): Promise<void> {
  run.heedDeadline()
  const made = Promise.resolve(result)
  const yielding = await run.whileWanted(made)
  if (run.unwanted) {
    run.rest = made.then(abandon)
    return
  }
  const source = iteratorOf(yielding, service)
  let position = 0
  // A source that throws, or has come to its end, need not be told to return.
  let isOpen = true
  try {
    while (await run.mayYield(position)) {
      isOpen = false
      const step = await run.whileWanted(Promise.resolve(source.next() as IteratorResult<unknown>), discardItem)
      isOpen = true
      if (run.cancel.cancelled) break
      if (!isResult(step)) throw new TypeError(`the stream's iterator returned ${show(step)}, not an object`)
      if (step.done === true) {
        isOpen = false
        await replies.end(run, position)
        break
      }
      await replies.item(run, position, step.value)
      position = (position + 1) >>> 0
    }
  } finally {
    if (isOpen) {
      const returned = abandon(source)
      if (run.unwanted) run.rest = returned
      else await returned
    }
  }
}

/** Whether `value` is what a request for a stream is answered with. */
export function isStream(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    (Symbol.asyncIterator in value || ('next' in value && Symbol.iterator in value))
  )
}

/** Tells a source that nobody wants the rest. Never rejects: whoever could hear of it is gone. */
export async function abandon(source: unknown): Promise<void> {
  try {
    await (source as Partial<AnyIterator> | undefined)?.return?.()
  } catch {
    // The clean-up of a reply that nobody wants has failed.
  }
}

function isResult(step: IteratorResult<unknown> | undefined): step is IteratorResult<unknown> {
  return typeof step === 'object' && step !== null
}

function discardItem({ value }: IteratorResult<unknown>): void {
  discard(value)
}

function iteratorOf(result: unknown, service: string): AnyIterator {
  const source = (typeof result === 'object' && result !== null ? result : {}) as AnyIterable
  const iterator = source[Symbol.asyncIterator]?.() ?? source[Symbol.iterator]?.()
  if (iterator !== undefined) return iterator
  discard(result)
  throw misuse(`service "${service}" does not reply with a stream: use request()`)
}
