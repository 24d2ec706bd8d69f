import type { OptionNames } from '../../check.js'
import {
  checkBoolean,
  checkInteger,
  checkName,
  checkObject,
  checkOptions,
  checkText,
  checkTimeout,
  checkWord,
} from '../../check.js'
import { invalidArgument, show } from '../../errors.js'
import { MAX_QUEUE_CAPACITY } from '../../native/generated/limits.js'
import type { BindingFlow } from '../../native/native.js'
import type { Delivery, Overflow } from '../../native/words.js'
import { DELIVERIES, OVERFLOWS } from '../../native/words.js'
import type { PortQueue } from '../../queue/port-queue.js'
import type { JsInput } from './js-port.js'
import type { PartitionBy } from './partition.js'

/**
 * Which thread runs which block. `work-stealing`: any thread runs any block. `pinned`: each block has a thread, {@link BlockOptions.thread}
 * or the next in turn. `thread-per-block`: each has one of its own, for blocks that wait inside of their work. `single`: one thread, a choice
 * among the blocks that could run which depends on `seed` alone, and a time that passes only when none can run: for tests.
 */
export type Policy = (typeof POLICIES)[number]
export const POLICIES = ['work-stealing', 'pinned', 'thread-per-block', 'single'] as const

/** Blocks of a higher priority run first. */
export type Priority = (typeof PRIORITIES)[number]
export const PRIORITIES = ['high', 'normal', 'low'] as const

/** What becomes of a message in the end: the block fails, and the scheduler with it; the message is let go of, and counted. */
export type FailureAction = (typeof ACTIONS)[number]
export const ACTIONS = ['fail', 'skip'] as const
/** Its number follows on those of the actions. */
const DEAD_LETTER = ACTIONS.length

/** Options of a scheduler. */
export interface SchedulerOptions {
  /** Threads that run blocks, 1 to 256. Default: as many as the machine runs at once. */
  threads?: number
  /** Which thread runs which block. Default: `work-stealing`. */
  policy?: Policy
  /** With policy `single`: what the choice among blocks depends on. Default: 0. */
  seed?: number
  /** How long a block runs before others get their turn, in ms. Default: 0.2. */
  slice?: number
  /**
   * How long a call of the work of a block may take, in ms, pauses before it is tried again included: then the event `stalled` tells, up to a quarter
   * later, and a drain or a stop does not wait for it any longer. A source of JavaScript, which may wait for what comes from outside, has that time
   * when it is to end. Default: Infinity.
   */
  stallTimeout?: number
}

/** What becomes of a message that the work of a block fails with. */
export interface OnErrorOptions {
  /** How often it is tried again. Default: 0. */
  retries?: number
  /** How long before the first of these, in ms, and twice as long before each other. Default: 0. */
  backoff?: number
  /** What becomes of it after that. Default: `fail`. */
  action?: FailureAction
  /** A queue, in place of `action`, that it goes to after that. It must exist. What that does not take any more is let go of. */
  deadLetters?: Pick<PortQueue<unknown>, 'name'>
}

/** Options of a block in a scheduler. */
export interface BlockOptions {
  /** Its name, for reports and errors. Default: its class and a number. */
  name?: string
  /** What becomes of a message that it fails with. Default: `fail`. */
  onError?: FailureAction | OnErrorOptions
  /** Which blocks run first. Default: `normal`. */
  priority?: Priority
  /** With policy `pinned`: the thread that runs it, from 0. */
  thread?: number
}

/**
 * Options of a block in a {@link Flow}.
 * @typeParam T what messages at its inputs carry
 */
export interface FlowBlockOptions<in T = never> extends BlockOptions {
  /** The process that runs it, one for all blocks that name it; see {@link StartOptions.processes}. Default: that of the flow. */
  process?: string
  /**
   * Whether it runs in a worker thread, one for all blocks that name it; true: in one of its own, which has the block's name. The thread runs this
   * program again, as processes do; see {@link StartOptions.workers}. For blocks of JavaScript. Default: false.
   */
  worker?: boolean | string
  /**
   * How many of it there are, 1 to 256; for blocks of JavaScript that have inputs. They take turns at the queue of each input, and send to
   * the same outputs; so messages overtake each other. With `process: 'cpu'` each is in a process of its own, `cpu.0`, `cpu.1` …, together
   * with those of the other blocks of `cpu`; so with `worker`; otherwise its `work` is called so often. Statistics
   * call them `<name>.0` …. Default: it is alone.
   */
  replicas?: number
  /**
   * With `replicas`: a key, a text, a number or a boolean, of a value that comes at `input`. All messages of one key come to one replica, in
   * order; while that is dead they wait for its restart, and senders wait when its queue is full.
   */
  partitionBy?: PartitionBy<T>
  /** Most messages that it takes at once, 1 to 256, if it is of JavaScript. Default: what is there; with `replicas`, unless divided by key, 1. */
  batch?: number
}

/** What messages at the inputs of a block of JavaScript carry. */
export type Taken<B> = { [P in keyof B]: B[P] extends JsInput<infer T, infer _> ? T : never }[keyof B]

/** Options of a link between two blocks. Those of the first link to an input count for all links to it. */
export interface LinkOptions {
  /** Messages it holds, rounded up to a power of two; 1 … 1 048 576. Default: 1024. */
  capacity?: number
  /** What becomes of a message that finds it full. Default: `block`. */
  overflow?: Overflow
  /** What becomes of messages whose receiver dies. Default: `at-most-once`. */
  delivery?: Delivery
}

/** What becomes of a link whose receiving process dies. */
export type OnPeerLost = (typeof ON_PEER_LOST)[number]
export const ON_PEER_LOST = ['block', 'detach', 'drop', 'fail'] as const

/** Options of a link of a {@link Flow}. All links to an input are one queue: those that the first says, others may leave out, or say the same. */
export interface FlowLinkOptions extends LinkOptions {
  /** Name of its queue, unless it lies between native blocks only, or hands over {@link objects}. Default: those of the flow, the block and the input. */
  name?: string
  /**
   * What becomes of it when the process behind it dies, of several replicas the last one. `block`: it keeps what comes, and whoever sends waits when
   * it is full, until the process is restarted. `detach`: it is closed, whoever sends goes on without it, and counts as `undelivered` what it gets
   * no more; what is in it the restarted process takes. `drop`: what is in it and what comes until that runs again is dropped, and counted in
   * {@link Run.dropped}. `fail`: the flow fails. Default: `block`.
   */
  onPeerLost?: OnPeerLost
  /** It leads back to a block before it: one link of each circle says so, and drawings show it. Default: false. */
  feedback?: boolean
}

export const MAX_THREADS = 256
/** @internal */
export const SCHEDULER_OPTIONS: OptionNames<SchedulerOptions> = {
  threads: true,
  policy: true,
  seed: true,
  slice: true,
  stallTimeout: true,
}
const ON_ERROR_OPTIONS: OptionNames<OnErrorOptions> = { retries: true, backoff: true, action: true, deadLetters: true }
/** @internal */
export const BLOCK_OPTIONS: OptionNames<BlockOptions> = { name: true, onError: true, priority: true, thread: true }
/** @internal */
export const FLOW_BLOCK_OPTIONS: OptionNames<FlowBlockOptions> = {
  ...BLOCK_OPTIONS,
  process: true,
  worker: true,
  replicas: true,
  partitionBy: true,
  batch: true,
}
/** @internal */
export const LINK_OPTIONS: OptionNames<LinkOptions> = { capacity: true, overflow: true, delivery: true }
const FLOW_LINK_OPTIONS: OptionNames<FlowLinkOptions> = {
  ...LINK_OPTIONS,
  name: true,
  onPeerLost: true,
  feedback: true,
}
export const MAX_RETRIES = 2 ** 32 - 1

type BoundScheduler = Pick<BindingFlow, 'threads' | 'policy' | 'seed' | 'sliceMs'>
type BoundBlock = Omit<BindingFlow['blocks'][number], 'kind' | 'settings'>
type BoundLink = Omit<BindingFlow['links'][number], 'from' | 'to'>

/** @internal Options of a scheduler as the addon takes them. */
export function bindScheduler(options: SchedulerOptions): BoundScheduler {
  const { threads, policy = 'work-stealing', seed = 0, slice } = options
  return {
    policy: checkWord('policy', policy, POLICIES),
    seed: checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
    ...(threads !== undefined && { threads: checkInteger('threads', threads, 1, MAX_THREADS) }),
    ...(slice !== undefined && { sliceMs: checkFinite('slice', slice) }),
  }
}

/** @internal */
export function checkStallTimeout({ stallTimeout }: SchedulerOptions): number {
  const timeout = checkTimeout('stallTimeout', stallTimeout)
  if (timeout >= 1) return timeout
  throw invalidArgument('stallTimeout', 'a number of milliseconds from 1, or Infinity', stallTimeout)
}

/** @internal Options of block `name` as the addon takes them. */
export function bindBlock(name: string, options: BlockOptions): BoundBlock {
  const what = (option: string) => `${option} of block ${show(name)}`
  const { onError = 'fail', priority = 'normal', thread } = options
  const given =
    typeof onError === 'string' ? { action: onError } : checkOptions(what('onError'), onError, ON_ERROR_OPTIONS)
  const { retries = 0, backoff = 0, action = 'fail', deadLetters } = given
  const after = checkWord(what('onError'), action, ACTIONS)
  return {
    name: checkText('the name of a block', name),
    retries: checkInteger(what('retries'), retries, 0, MAX_RETRIES),
    backoffMs: checkFinite(what('backoff'), backoff),
    action: deadLetters === undefined ? after : DEAD_LETTER,
    ...(deadLetters !== undefined && { deadLetters: checkObject(what('deadLetters'), deadLetters).name }),
    priority: checkWord(what('priority'), priority, PRIORITIES),
    ...(thread !== undefined && { thread: checkInteger(what('thread'), thread, 0, MAX_THREADS - 1) }),
  }
}

/** @internal Options of link `name` as the addon takes them. */
export function bindLink(name: string, options: LinkOptions): BoundLink {
  const what = (option: string) => `${option} of link ${name}`
  const { capacity, overflow, delivery } = options
  return {
    ...(capacity !== undefined && { capacity: checkInteger(what('capacity'), capacity, 1, MAX_QUEUE_CAPACITY) }),
    ...(overflow !== undefined && { overflow: checkWord(what('overflow'), overflow, OVERFLOWS) }),
    ...(delivery !== undefined && { delivery: checkWord(what('delivery'), delivery, DELIVERIES) }),
  }
}

/** @internal Options of link `name` of a flow, checked. */
export function checkFlowLink(name: string, options: FlowLinkOptions): void {
  bindLink(name, checkOptions(`link ${name}`, options, FLOW_LINK_OPTIONS))
  const { onPeerLost = 'block', name: queue, feedback = false } = options
  checkBoolean(`feedback of link ${name}`, feedback)
  checkWord(`onPeerLost of link ${name}`, onPeerLost, ON_PEER_LOST)
  if (queue !== undefined) checkName(`queue of link ${name}`, queue)
}

/** A time in ms that ends. */
function checkFinite(what: string, value: number): number {
  const time = checkTimeout(what, value)
  if (time === Infinity) throw invalidArgument(what, 'a number of milliseconds that ends', value)
  return time
}
