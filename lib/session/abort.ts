import { addAbortListener } from 'node:events'

/** Who wants to hear of the abort of one signal: as many as like, behind a single listener. */
interface Audience {
  readonly callbacks: Set<() => void>
  readonly listener: Disposable
}

const audiences = new WeakMap<AbortSignal, Audience>()

/**
 * Calls `callback` when `signal` aborts, until the function this answers is called. One signal may end thousands of waits;
 * with a listener each Node would warn of a leak.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks, listener } = audiences.get(signal) ?? gather(signal)
  callbacks.add(callback)
  return () => {
    callbacks.delete(callback)
    if (callbacks.size > 0) return
    audiences.delete(signal)
    listener[Symbol.dispose]()
  }
}

function gather(signal: AbortSignal): Audience {
  const callbacks = new Set<() => void>()
  const listener = addAbortListener(signal, () => {
    for (const callback of callbacks) callback()
  })
  const audience = { callbacks, listener }
  audiences.set(signal, audience)
  return audience
}
