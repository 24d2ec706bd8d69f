/**
 * Shared memory messaging: {@link ShmManager} is the entry to everything, but for {@link SageQueue}, which opens by itself.
 * @module millrace
 */
export { SharedBufferAllocator } from './lib/memory/allocator.js'
export { Batch } from './lib/queue/batch.js'
export { BufferPtr, type TimestampKind, type TypedArrayConstructor } from './lib/memory/buffer-ptr.js'
export type { Codec, CodecName, CodecOption, Encoded, EncodedWriter, ValueCodecName } from './lib/codec/codec.js'
export type { JsonLoses, JsonOf, NeedsCodec, ValueCodecOf, WithCodec } from './lib/codec/types.js'
export type { ConsumeOptions, Handler } from './lib/queue/consume.js'
export { type ErrorCode, MillraceError } from './lib/errors.js'
export type { Finding, FindingKind, FsckOptions } from './lib/domain/fsck.js'
export { type FileOptions, fromFile, readInto, type ReadOptions } from './lib/ingest/file.js'
export type { BufferOwner, IngestOptions } from './lib/ingest/options.js'
export { fromSocket, type SocketSource } from './lib/ingest/socket.js'
export { type ManagerEvents, ShmManager } from './lib/domain/manager.js'
export {
  type DomainEntry,
  type EvictOptions,
  type ListedDomain,
  type ObserveOptions,
  type ReadableDomain,
  type Removal,
  type RemoveOptions,
  ShmObserver,
  type UnreadableDomain,
} from './lib/domain/observer.js'
export type { ParticipantId } from './lib/session/participant-id.js'
export type { Size } from './lib/check.js'
export type { OpenOptions } from './lib/domain/options.js'
export {
  migrate,
  type MigratedBatch,
  type MigratedMessage,
  type MigrateOptions,
  type MigrationSource,
} from './lib/domain/migrate.js'
export type { Delivery, Overflow } from './lib/native/words.js'
export type { CapacityRange, QueueOptions } from './lib/queue/options.js'
export type { BlockingOptions, Spin, WaitOptions } from './lib/session/limits.js'
export type { ExhaustedPolicy } from './lib/session/session.js'
export type { SubscribeOptions, TopicOptions } from './lib/topic/options.js'
export { BufferPool } from './lib/memory/buffer-pool.js'
export { type BatchOptions, PortQueue, type QueueInfo } from './lib/queue/port-queue.js'
export type {
  Discarded,
  LeaveReason,
  Opened,
  ParticipantEvent,
  ParticipantLeft,
  ParticipantReport,
  RecoveryReport,
  StallReport,
  TrimReport,
} from './lib/domain/reports.js'
export type { SignalOptions } from './lib/domain/signals.js'
export {
  type Definition,
  defineQueue,
  defineService,
  defineTopic,
  type Named,
  type QueueDefinition,
  type ServiceDefinition,
  type DefineServiceOptions,
  type ServiceSchemas,
  type TopicDefinition,
  type WithSchema,
} from './lib/domain/define.js'
export type { SchemaIssue, SchemaResult, SchemaStep, StandardSchema } from './lib/codec/standard-schema.js'
export { GlobalRegistry } from './lib/domain/registry.js'
export type { RequestContext } from './lib/service/run.js'
export type {
  RequestOptions,
  Sendable,
  ServeOptions,
  ServiceHandler,
  OneCodec,
  ServiceCodec,
  ServiceCodecs,
  ServiceOptions,
  StreamOptions,
} from './lib/service/options.js'
export type { Service, ServiceStats } from './lib/service/service.js'
export type {
  MailboxStats,
  ParticipantStats,
  PoolStats,
  QueueStats,
  QueueUser,
  RecoveredTotals,
  ServiceQueues,
  Snapshot,
  Stats,
  StallPhase,
  SubscriptionStats,
  TopicStats,
} from './lib/session/snapshot.js'
export { SageQueueManager } from './lib/sage/manager.js'
export type { SageDomainOptions } from './lib/sage/namespace.js'
export type { SageQueueOptions } from './lib/sage/options.js'
export { SageQueue } from './lib/sage/queue.js'
export type { SageQueueEntry, SageQueueStats } from './lib/sage/stats.js'
export type { Acknowledge } from './lib/sage/unacknowledged.js'
export type { PutFromOptions, ReadableOptions, WebStreams, WritableOptions } from './lib/queue/streams.js'
export type { Subscription } from './lib/topic/subscription.js'
export { type BlockedReport, type BlockedSubscriber, type Published, Topic, type TopicInfo } from './lib/topic/topic.js'
