import type { BufferPtr } from '../../memory/buffer-ptr.js'
import type { PortQueue } from '../../queue/port-queue.js'
import type { Progress } from '../../queue/progress.js'
import { ObjectQueue } from './object-queue.js'
import type { LinkQueue, Route } from './own-queue.js'
import type { TypeInfo } from '../block/type.js'
import { buffers } from '../block/type.js'

/** A queue that an output sends to. */
export interface Target {
  readonly queue: LinkQueue
  /** Puts values into it; `progress` says how many are in it, also when it throws. */
  readonly put: (values: readonly unknown[], signal: AbortSignal, progress: Progress) => Promise<void>
  /** Nobody takes anything any more. */
  closed: boolean
}

/** An input that an output is linked to: one queue, or several, of which each message goes to one. */
export interface Destination {
  readonly targets: readonly Target[]
  readonly choose: Route['choose']
}

/** What of a list goes to one queue. */
export interface Part {
  readonly target: Target
  readonly values: readonly unknown[]
  /** Where in the list each is; undefined: it is all of the list. */
  readonly places: readonly number[] | undefined
  readonly progress: Progress
}

export function targetOf(type: TypeInfo, queue: LinkQueue): Target {
  return { queue, put: putOf(type, queue), closed: false }
}

function putOf(type: TypeInfo, queue: LinkQueue): Target['put'] {
  if (queue instanceof ObjectQueue) return (values, signal, progress) => queue.put(values, signal, progress)
  if (type === buffers) return (values, signal, progress) => moveAll(queue, values as BufferPtr[], signal, progress)
  return (values, signal, progress) => queue.putCounting(values, { signal }, progress)
}

async function moveAll(
  queue: PortQueue<unknown>,
  list: readonly BufferPtr[],
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  signal.throwIfAborted()
  while (progress.done < list.length) {
    progress.done += queue.sendMany(progress.done === 0 ? list : list.slice(progress.done))
    if (progress.done === list.length) return
    await queue.send(list[progress.done]!, { signal })
    progress.done++
  }
}

/** What of `values` goes to which queue. */
export function partsOf({ targets, choose }: Destination, values: readonly unknown[]): readonly Part[] {
  if (choose === undefined) return [{ target: targets[0]!, values, places: undefined, progress: { done: 0 } }]
  const parts = targets.map((target) => ({
    target,
    values: [] as unknown[],
    places: [] as number[],
    progress: { done: 0 },
  }))
  for (const [place, value] of values.entries()) {
    const part = parts[choose(value)]!
    part.values.push(value)
    part.places.push(place)
  }
  return parts.filter((part) => part.values.length > 0)
}

/** How many of the first of the list, of which `part` is one, have nothing left to be sent of them there. */
export function doneUpTo({ values, places, progress: { done } }: Part): number {
  if (places === undefined) return done
  return done === values.length ? Infinity : places[done]!
}
