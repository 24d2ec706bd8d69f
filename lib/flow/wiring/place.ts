import { onAbort } from '../../session/cancel.js'
import { child } from '../process/child.js'
import type { ToldOfQueue } from '../process/control.js'

/** Bears a {@link PlaceHere}, as JSON. */
export const PLACE_VARIABLE = 'MILLRACE_FLOW'

/** Which process of which flow this one is. */
export interface PlaceHere {
  readonly flow: string
  readonly process: string
}

/** Where all copies of this package in a process (ESM and CommonJS) find the place, once it is taken from the environment. */
const PLACE = Symbol.for('millrace.flow.place')
const shared = globalThis as { [PLACE]?: PlaceHere | null }

/** undefined: this process is the one that was started by somebody else than a flow. */
export function placeHere(): PlaceHere | undefined {
  if (shared[PLACE] === undefined) {
    const text = process.env[PLACE_VARIABLE]
    // Processes that this one starts have no place in the flow.
    delete process.env[PLACE_VARIABLE]
    shared[PLACE] = text === undefined ? null : (JSON.parse(text) as PlaceHere)
  }
  return shared[PLACE] ?? undefined
}

/** Tells the process of the flow what becomes of a queue here. */
export function tellOfQueue(queue: string, event: ToldOfQueue['event']): void {
  child().tell({ millrace: 'queue', queue, event })
}

/** This process is one that the flow has started: its supervisor says when it is to end. */
export function serve(run: {
  drain(): Promise<unknown>
  readonly over: Promise<unknown>
  readonly isStalled: boolean
}): void {
  const me = child()
  onAbort(me.stopping, () => void run.drain().catch(() => {}))
  me.ready()
  const fallSilent = me.keepTelling(() => !run.isStalled)
  run.over.then(fallSilent, fallSilent)
}
