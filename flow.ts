/**
 * Blocks that are linked by queues in shared memory, and a scheduler that runs them.
 * @module millrace/flow
 */
export { Block, type BlockHost } from './lib/flow/block.js'
export * from './lib/flow/generated/blocks.js'
export { NativeBlock } from './lib/flow/native-block.js'
export type {
  BlockOptions,
  FailureAction,
  LinkOptions,
  OnErrorOptions,
  Policy,
  Priority,
  SchedulerOptions,
} from './lib/flow/options.js'
export { InputPort, OutputPort, type PortOwner } from './lib/flow/port.js'
export { type EndOptions, Scheduler } from './lib/flow/scheduler.js'
export type { BlockState, BlockStats, Report } from './lib/flow/stats.js'
