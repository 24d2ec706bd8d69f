import { type Channel, channel } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { basename, dirname } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'
import { SharedBufferAllocator } from '../memory/allocator.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { Codec, ValueCodecName } from '../codec/codec.js'
import type { WithCodec } from '../codec/types.js'
import { codecOf } from '../codec/codec.js'
import { callNative, misuse } from '../errors.js'
import { MAX_NAME_BYTES } from '../native/generated/limits.js'
import { COPIES, NativeManager } from '../native/native.js'
import type { QueueDefinition, ServiceDefinition, TopicDefinition } from './define.js'
import { definedAs } from './define.js'
import type { OpenOptions } from './options.js'
import type { QueueOptions } from '../queue/options.js'
import type { WaitOptions } from '../session/limits.js'
import type { TopicOptions } from '../topic/options.js'
import type { OptionNames } from '../check.js'
import { checkBoolean, checkFunction, checkName, checkOptions, checkTimeout } from '../check.js'
import { bindOpenOptions, checkExhausted, OPEN_OPTIONS } from './options.js'
import { bindQueueOptions, QUEUE_OPTIONS } from '../queue/options.js'
import { checkSpin } from '../session/limits.js'
import { bindTopicOptions, TOPIC_OPTIONS, withOptionsOfMaker } from '../topic/options.js'
import { PortQueue } from '../queue/port-queue.js'
import { baseDirectory } from './base-directory.js'
import type { Finding, FsckOptions } from './fsck.js'
import { removeLeftovers } from './leftovers.js'
import type { EvictOptions } from './observer.js'
import { ShmObserver } from './observer.js'
import type {
  Discarded,
  Opened,
  ParticipantLeft,
  ParticipantReport,
  RecoveryReport,
  StallReport,
  TrimReport,
} from './reports.js'
import {
  participantJoined,
  participantLeft,
  participantLost,
  participantResumed,
  participantStalled,
  Stalls,
  takeEvents,
} from './reports.js'
import { GlobalRegistry } from './registry.js'
import type { Closing, SignalOptions } from './signals.js'
import { closeOnSignals } from './signals.js'
import type { ServiceCodecs, ServiceOptions } from '../service/options.js'
import type { Service } from '../service/service.js'
import { Services } from '../service/services.js'
import type { ParticipantId } from '../session/participant-id.js'
import { Session } from '../session/session.js'
import type { Stats } from '../session/snapshot.js'
import { statsOf } from '../session/snapshot.js'
import { type BlockedReport, publishBlocked } from '../topic/blocked.js'
import { Topic } from '../topic/topic.js'

/** Events of a {@link ShmManager}. */
export interface ManagerEvents {
  /** {@link ShmManager.opened} is `recreated`; what was discarded, or null where that could not be read. After the code that opened it. */
  recreated: [discarded: Discarded | null]
  /**
   * Somebody else has joined the domain. Everybody who listens is told of every joining and every leaving after its own joining once, all in the
   * same order.
   */
  'participant-joined': [report: ParticipantReport]
  /** Somebody else has left it, in order or not. */
  'participant-left': [report: ParticipantLeft]
  /** What it came to that somebody died: what it held has been put right. Follows its `participant-left`. */
  'participant-lost': [report: RecoveryReport]
  /** A participant is stalled; see {@link ShmManager.evict} for what can be done about it. Seen within two seconds. */
  'participant-stalled': [report: StallReport]
  /** A participant that stood still goes on. */
  'participant-resumed': [report: StallReport]
  /** A call of this manager that publishes has waited for a subscriber for a second, and waits on. */
  'publisher-blocked': [report: BlockedReport]
}

const NEWS = new Map<unknown, Channel>([
  ['participant-joined', participantJoined],
  ['participant-left', participantLeft],
  ['participant-lost', participantLost],
  ['participant-stalled', participantStalled],
  ['participant-resumed', participantResumed],
])

const SIGNAL_OPTIONS: OptionNames<SignalOptions> = { drain: true, timeout: true }
const DRAIN_MS = 10_000

const opened = channel('millrace:open')
const closed = channel('millrace:close')

/**
 * A participant's session in a domain, and the entry to everything else. One process, or each of its worker threads, may
 * open as many as it likes; each is a participant of its own. Close it with `using`, or {@link ShmManager.close}.
 *
 * An open manager does not keep the process alive; a wait under way does.
 */
export class ShmManager extends EventEmitter<ManagerEvents> implements Disposable {
  /** Name of the domain. */
  readonly domain: string
  /** Slot of this participant in the domain. */
  readonly participant: number
  /** Directory that holds the domain. */
  readonly directory: string
  /** What opening the domain has found. */
  readonly opened: Opened
  /** What was in the domain when {@link ShmManager.opened} is `recreated` and it could be read; else null. */
  readonly discarded: Discarded | null
  /** The shared directory of the domain. */
  readonly registry: GlobalRegistry
  /** Where buffers come from. */
  readonly allocator: SharedBufferAllocator
  readonly #session: Session
  readonly #services: Services
  readonly #stalls: Stalls
  #closing: Closing | undefined

  private constructor(session: Session, participant: number, directory: string) {
    super()
    if (!(session instanceof Session)) throw misuse("a ShmManager is made by ShmManager.open('domain'), not by new")
    this.domain = session.domain
    this.participant = participant
    this.directory = directory
    const { opened: found, discarded = null } = JSON.parse(session.call((native) => native.opened())) as {
      opened: Opened
      discarded?: Discarded | null
    }
    this.opened = found
    this.discarded = discarded
    this.#session = session
    this.registry = new GlobalRegistry(session)
    this.allocator = new SharedBufferAllocator(session)
    this.#services = new Services(session, this.allocator, participant)
    this.#stalls = new Stalls(session)
    if ([...NEWS.values()].some((heard) => heard.hasSubscribers)) this.#listen()
    EventEmitter.prototype.on.call(this, 'newListener', (event) => {
      if (NEWS.has(event)) this.#listen()
    })
  }

  /**
   * Creates the domain, or attaches to it: whoever comes first. Start order does not matter. A domain lives as long as somebody is in it: one
   * whose participants have all died is made anew, unless it persists or has a `SageQueue`. {@link ShmManager.opened} says which it was.
   * @param domain 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit
   * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_NAME`, `_INVALID_ARGUMENT`, `_PERMISSION`, `_VERSION`, `_TRUNCATED`,
   * `_CORRUPT`, `_NO_SPACE`, `_LIMIT`, `_TIMEOUT`, `_IO`
   */
  static open(domain: string, options: OpenOptions = {}): ShmManager {
    checkName('domain', domain)
    const { exhausted, spin, guard = false } = checkOptions('ShmManager.open', options, OPEN_OPTIONS)
    const bound = bindOpenOptions({ directory: baseDirectory(), ...options }, ownName())
    const policy = checkExhausted(exhausted)
    const polling = checkSpin(spin)
    checkBoolean('guard', guard)
    const native = callNative(() => NativeManager.open(domain, bound))
    const session = new Session(native, domain, policy, polling, guard)
    const manager = new ShmManager(session, native.participant, native.directory)
    opened.publish({ domain, participant: manager.participant, opened: manager.opened, discarded: manager.discarded })
    removeLeftovers(dirname(manager.directory))
    if (manager.opened === 'recreated') process.nextTick(() => manager.#tell('recreated', manager.discarded))
    return manager
  }

  /** @internal What the objects of this manager share. */
  get session(): Session {
    return this.#session
  }

  /**
   * Whether the bytes of messages are those in shared memory. False where the runtime has no external ArrayBuffers, as Electron has none:
   * there they are copies, which are made when they are first looked at, and written back when the message is sent.
   */
  get zeroCopy(): boolean {
    return !COPIES
  }

  /** Whether it has been closed. */
  get closed(): boolean {
    return this.#session.closed
  }

  /** The queue that `definition` says. */
  portQueue<T>(definition: QueueDefinition<T>): PortQueue<T>
  /**
   * The queue of that name. With options it is created or attached to. A queue that exists becomes what is asked for, as far as nobody has
   * asked for something else before: that throws `ERR_MILLRACE_OPTIONS_MISMATCH`. Without options, it is that queue whoever creates it, now or
   * later; the first to send does, if nobody else has.
   * @param name 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit
   * @throws {@link MillraceError} `ERR_MILLRACE_OPTIONS_MISMATCH`, `_INVALID_NAME`, `_INVALID_ARGUMENT`; `_EXHAUSTED`, `_NO_SPACE`: no
   * memory for its ring; `_LIMIT`: no more queues; `_CLOSED`
   */
  portQueue<T = unknown>(name: string, options: QueueOptions<T> & { codec: ValueCodecName }): PortQueue<T>
  portQueue<T = Uint8Array>(name: string, options?: WithCodec<QueueOptions<T>, T>): PortQueue<T>
  portQueue<T>(queue: string | QueueDefinition<T>, given?: QueueOptions<T>): PortQueue<T> {
    const [name, options] = definedAs('queue', queue, given)
    checkName('queue', name)
    const codec = options && checkOptions(`queue "${name}"`, options, QUEUE_OPTIONS).codec
    const named = codec === undefined ? undefined : codecOf(codec as Codec<T>)
    const bound = options && bindQueueOptions(options, named?.name)
    const handle = this.#session.call((native) => native.queue(name, bound))
    return new PortQueue(this.#session, name, handle, named)
  }

  /** The service that `definition` says. */
  service<Req, Res>(definition: ServiceDefinition<Req, Res>): Service<Req, Res>
  /**
   * Requests and replies under that name. All participants must name the same codecs. A manager has a service open once.
   * @param name 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit; other queues have names of their own
   * @throws {@link MillraceError} `ERR_MILLRACE_OPTIONS_MISMATCH`: others use other codecs, or another capacity; `_INVALID_ARGUMENT`, also
   * when this manager has it open already; and as {@link ShmManager.portQueue}
   */
  service(
    name: string,
    options?: ServiceOptions<BufferPtr, BufferPtr> & { codec?: 'buffer'; replyCodec?: 'buffer' },
  ): Service
  service<T>(name: string, options: ServiceOptions<T, T> & { codec: Codec<T>; replyCodec?: undefined }): Service<T, T>
  service<Req, Res>(name: string, options: ServiceOptions<Req, Res> & ServiceCodecs<Req, Res>): Service<Req, Res>
  service<Req, Res>(
    service: string | ServiceDefinition<Req, Res>,
    given?: ServiceOptions<Req, Res>,
  ): Service<Req, Res> {
    const [name, options = {}] = definedAs('service', service, given)
    return this.#services.open(name, options)
  }

  /** The topic that `definition` says. */
  topic<T>(definition: TopicDefinition<T>): Topic<T>
  /**
   * The topic of that name. With options it is created or attached to; options that differ from what exists throw
   * `ERR_MILLRACE_OPTIONS_MISMATCH`. Without, it is that topic whoever creates it, now or later.
   * @param name 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit
   * @throws {@link MillraceError} as {@link ShmManager.portQueue}
   */
  topic<T = unknown>(name: string, options: TopicOptions<T> & { codec: ValueCodecName }): Topic<T>
  topic<T = Uint8Array>(name: string, options?: WithCodec<TopicOptions<T>, T>): Topic<T>
  topic<T>(topic: string | TopicDefinition<T>, given?: TopicOptions<T>): Topic<T> {
    const [name, options] = definedAs('topic', topic, given)
    checkName('topic', name)
    const codec = options && checkOptions(`topic "${name}"`, options, TOPIC_OPTIONS).codec
    const named = codec === undefined ? undefined : codecOf(codec as Codec<T>)
    const bound = options && bindTopicOptions(options, named?.name)
    const handle = withOptionsOfMaker(() => this.#session.call((native) => native.topic(name, bound)))
    return new Topic(this.#session, name, handle, named, (report) => {
      publishBlocked(this.domain, report)
      this.#tell('publisher-blocked', report)
    })
  }

  /** The same as {@link SharedBufferAllocator.allocate}. */
  allocate(bytes: number): BufferPtr {
    return this.allocator.allocate(bytes)
  }

  /** The same as {@link SharedBufferAllocator.tryAllocate}. */
  tryAllocate(bytes: number): BufferPtr | null {
    return this.allocator.tryAllocate(bytes)
  }

  /** The same as {@link SharedBufferAllocator.allocateMany}. */
  allocateMany(bytes: number, count: number): BufferPtr[] {
    return this.allocator.allocateMany(bytes, count)
  }

  /** The same as {@link SharedBufferAllocator.allocateAsync}. */
  allocateAsync(bytes: number, options?: WaitOptions): Promise<BufferPtr> {
    return this.allocator.allocateAsync(bytes, options)
  }

  /** The same as {@link SharedBufferAllocator.allocateManyAsync}. */
  allocateManyAsync(bytes: number, count: number, options?: WaitOptions): Promise<BufferPtr[]> {
    return this.allocator.allocateManyAsync(bytes, count, options)
  }

  /** Counters of every queue, topic and pool of the domain, of all participants together. */
  stats(): Stats {
    return statsOf(this.#session)
  }

  /** The same as {@link ShmObserver.fsck}. */
  async fsck(options?: FsckOptions): Promise<Finding[]> {
    using observer = this.#observer()
    return await observer.fsck(options)
  }

  /** The same as {@link ShmObserver.evict}. */
  async evict(participant: ParticipantId, options?: EvictOptions): Promise<RecoveryReport> {
    using observer = this.#observer()
    return await observer.evict(participant, options)
  }

  /**
   * Gives the memory of every segment in which no buffer is in use back to the system, and says how much that was. Nobody has to call
   * it: memory comes back by itself where it is short, for buffers of another size or because `/dev/shm` is full, and from segments
   * that nobody has used for ten to twenty seconds. It is for a program that knows that a burst is over. Everybody in the domain
   * waits for it, some 10 µs. Nothing is given back, and nothing is wrong, while a participant is stopped in the middle of something.
   * @throws {@link MillraceError} `ERR_MILLRACE_CLOSED`, `_IO`
   */
  trim(): TrimReport {
    return this.#session.call((native) => native.trim())
  }

  /**
   * Leaves the domain: ends every wait of this participant with `ERR_MILLRACE_CLOSED`, gives back whatever it holds, and
   * removes the domain if it was the last one and `persist` is not set. Idempotent.
   */
  close(): void {
    if (this.closed) return
    this.#closing?.forget()
    try {
      this.#services.close()
    } finally {
      // Whatever a damaged mailbox says to its removal: the participant leaves.
      this.#session.close()
      closed.publish({ domain: this.domain, participant: this.participant })
    }
  }

  /** The same as {@link ShmManager.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Has this manager closed when the process is asked to end, by `SIGTERM` or `SIGINT`: the returned signal aborts, for `consume`, `serve` and
   * other waits; what `drain` returns is awaited; then the manager is closed, and the process ends by the signal as if nobody had listened, unless
   * the program listens itself. A second signal waits for nothing. Until the manager is closed; once a manager.
   * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT`; `_UNSUPPORTED` in a worker thread, which hears no signals; `_CLOSED`
   */
  closeOnSignals(options: SignalOptions = {}): AbortSignal {
    const { drain = () => {}, timeout = DRAIN_MS } = checkOptions('closeOnSignals', options, SIGNAL_OPTIONS)
    checkFunction('drain', drain)
    checkTimeout('timeout', timeout)
    if (this.#closing !== undefined) throw misuse(`closeOnSignals() of domain "${this.domain}" has been called before`)
    const close = (): void => this.close()
    this.#closing = this.#session.call(() => closeOnSignals(this.domain, { drain, timeout }, close))
    return this.#closing.stopping
  }

  #observer(): ShmObserver {
    return new ShmObserver(this.#session.call((open) => open.observer()))
  }

  /** From the first listener on, reports are taken; those that nobody here has seen come first. */
  #listen(): void {
    process.nextTick(() => {
      if (!this.closed) this.#session.waits.listen(() => this.tellNews())
    })
  }

  /** @internal Tells what there is to tell. Runs in the background, where nobody could catch an error. */
  tellNews(): void {
    if (this.closed) return
    try {
      const news = takeEvents(this.#session)
      const { stalled, resumed } = this.#stalls.take()
      for (const { event, report } of news) this.#tell(event, report)
      for (const report of stalled) this.#tell('participant-stalled', report)
      for (const report of resumed) this.#tell('participant-resumed', report)
    } catch (error) {
      const message = `domain "${this.domain}" does not say who comes, goes or stalls: ${(error as Error).message}`
      process.emitWarning(message, { type: 'MillraceWarning', code: 'MILLRACE_NEWS' })
    }
  }

  /** Calls every listener on its own: one that throws keeps the report from no other, and no other report from anybody. */
  #tell(event: keyof ManagerEvents, ...report: ManagerEvents[keyof ManagerEvents]): void {
    for (const listener of this.rawListeners(event)) queueMicrotask(() => void Reflect.apply(listener, this, report))
  }
}

/** Program and process id, and the thread unless it is the main one; cut to what a name may have. */
function ownName(): string {
  const suffix = ` ${process.pid}${isMainThread ? '' : `/${threadId}`}`
  const program = Buffer.from(basename(process.argv0)).subarray(0, MAX_NAME_BYTES - suffix.length)
  return new TextDecoder().decode(program).replace(/\uFFFD$/, '') + suffix
}
