// The facade's door to the addon. Hot operations (`generated/hot.ts`) take their arguments from, and leave their results in, the command
// block: one Uint32Array per isolate, so that a call into native code carries no arguments at all. Nothing may run user code between
// filling the block and reading it, and callers copy results out before they do.

import binding, { type BindingManager } from '#native'
import { NEWS_DEPARTURES, NEWS_REPORTS } from './generated/block.js'
import { news } from './generated/hot.js'

export * from './generated/hot.js'
export type {
  BindingFlow,
  BindingManager,
  BindingObserver,
  BindingOpenOptions,
  BindingQueueInfo,
  BindingQueueOptions,
  BindingRun,
  BindingTopicInfo,
  BindingTopicOptions,
} from '#native'
export type BindingSegment = ReturnType<BindingManager['segment']>

/** Names no manager: whatever is asked of it ends with `STATUS_MANAGER_CLOSED`. */
export const NO_MANAGER = 2 ** 32 - 1

export const { BindingManager: NativeManager, BindingObserver: NativeObserver, describeBlock } = binding

/** Whether this runtime has no external ArrayBuffers, so that what JavaScript sees of messages are copies. */
export const COPIES = binding.copiesMessages()

/**
 * What to add to `process.hrtime`, in ms, for the clock that all processes of the machine share: a container may have a time of its own,
 * which does not change while a process runs.
 */
export const SHARED_CLOCK_OFFSET_MS = clockOffset()

function clockOffset(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return Math.round(binding.clockMs() - seconds * 1000 - nanoseconds / 1e6)
}

/** Whether recovery reports or news of stalls wait to be taken, as of the last {@link ready}. */
export function hasReports(): boolean {
  return (news() & NEWS_REPORTS) !== 0
}

/** Whether participants have left or died since the {@link ready} before the last. */
export function hasDepartures(): boolean {
  return (news() & NEWS_DEPARTURES) !== 0
}
