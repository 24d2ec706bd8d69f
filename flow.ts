/**
 * Blocks that are linked by queues in shared memory, and a scheduler that runs them.
 * @module millrace/flow
 */
export { Block, type BlockHost } from './lib/flow/block/block.js'
export { type Child, child } from './lib/flow/process/child.js'
export type { OutputLine } from './lib/flow/process/child-process.js'
export type { BackoffOptions, ChildOptions, Restart, Stdio } from './lib/flow/process/child-options.js'
export { BlockIo } from './lib/flow/js/block-io.js'
export type { Clock } from './lib/flow/block/clock.js'
export { flow, Flow, type StartOptions } from './lib/flow/flow.js'
export { Run } from './lib/flow/flow-run.js'
export * from './lib/flow/generated/blocks.js'
export type { BlockData, DomainData, FlowData, LinkData, OnErrorData, ProcessData } from './lib/flow/graph/data.js'
export { drawFlow, type DrawingFormat, type DrawOptions } from './lib/flow/graph/draw.js'
export type { FlowFault } from './lib/flow/graph/fault.js'
export { type BlockModule, importBlock, type ModuleOptions } from './lib/flow/graph/import-block.js'
export type { PlanOptions } from './lib/flow/graph/plan.js'
export { formatFlow, parseFlow } from './lib/flow/graph/text.js'
export { validateFlow } from './lib/flow/graph/validate.js'
export { Group, group, type GroupHost, type UseOptions } from './lib/flow/group.js'
export { JsBlock } from './lib/flow/js/js-block.js'
export { JsInput, JsOutput } from './lib/flow/block/js-port.js'
export { filter, map, MapBlock, type MapContext, type MapOptions } from './lib/flow/js/map.js'
export { type LogLine, logLines, logs, LogsBlock } from './lib/flow/js/logs.js'
export { Mock, mock, type MockOptions, MockResult, type MockRun, type MockRunOptions } from './lib/flow/mock.js'
export { NativeBlock } from './lib/flow/native/native-block.js'
export type {
  BlockOptions,
  FailureAction,
  FlowBlockOptions,
  FlowLinkOptions,
  LinkOptions,
  OnErrorOptions,
  OnPeerLost,
  Policy,
  Priority,
  SchedulerOptions,
  Taken,
} from './lib/flow/block/options.js'
export type { PartitionBy, PartitionKey } from './lib/flow/block/partition.js'
export { InputPort, OutputPort, type PortOwner } from './lib/flow/block/port.js'
export { type EndOptions, Scheduler } from './lib/flow/native/scheduler.js'
export { sink, SinkBlock, type Use } from './lib/flow/js/sink.js'
export { source, SourceBlock, type SourceContext, type Yielded } from './lib/flow/js/source.js'
export type { SchemaIssue, SchemaResult, SchemaStep, StandardSchema } from './lib/codec/standard-schema.js'
export type { Stall, StallEvents } from './lib/flow/block/stall-watch.js'
export { activityBetween } from './lib/flow/block/stats.js'
export type { Activity, BlockState, BlockStats, LatencyStats, LinkStats, Report } from './lib/flow/block/stats.js'
export type { ChildPhase, ChildState, LastExit, SupervisorEvents } from './lib/flow/process/supervised-child.js'
export { type StopOptions, Supervisor, type SupervisorOptions } from './lib/flow/process/supervisor.js'
export { ticks, type Tick, timer, TimerBlock, type TimerOptions } from './lib/flow/js/timer.js'
export { buffers, bytes, objects, type, type PortType, type TypeInfo, type TypeOptions } from './lib/flow/block/type.js'
export { Values } from './lib/flow/js/values.js'
export type { WorkerOptions } from './lib/flow/process/worker-thread.js'
