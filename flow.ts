/**
 * Blocks that are linked by queues in shared memory, and a scheduler that runs them.
 * @module millrace/flow
 */
export { Block, type BlockHost } from './lib/flow/block.js'
export { type Child, child } from './lib/flow/child.js'
export type { BackoffOptions, ChildOptions, Restart, Stdio } from './lib/flow/child-options.js'
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
export type { ChildPhase, ChildState, LastExit, SupervisorEvents } from './lib/flow/supervised-child.js'
export { type StopOptions, Supervisor, type SupervisorOptions } from './lib/flow/supervisor.js'
