import { Buffer } from 'node:buffer'
import type { CodecOption } from './codec/codec.js'
import { invalidArgument, MillraceError, show } from './errors.js'
import {
  MAX_MAX_BYTES,
  MAX_NAME_BYTES,
  MAX_QUEUE_CAPACITY,
  MAX_SUBSCRIPTION_NAME_BYTES,
  MIN_MAX_BYTES,
} from './native/generated/limits.js'
import type { BindingOpenOptions, BindingQueueOptions, BindingTopicOptions } from './native/native.js'

/** A number of bytes, or text such as `'512MiB'` (`B`, `KB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`, `TiB`). */
export type Size = number | string

/** What waiting for pool space means once the pool has grown to its limit; see {@link OpenOptions.exhausted}. */
export type ExhaustedPolicy = 'reject' | 'wait'

/** What a send does when the queue is full. `block` loses nothing; every drop of the others is counted. */
export type Overflow = (typeof OVERFLOWS)[number]

/**
 * What becomes of messages that a consumer has taken and not released when it dies: `at-most-once` loses them and counts
 * them in the recovery report, `at-least-once` delivers them again, first in line.
 */
export type Delivery = (typeof DELIVERIES)[number]

/**
 * How long a wait polls before it sleeps, in µs, at most 1000: what comes meanwhile is there in about a µs instead of some ten.
 * Polling keeps this thread and a core busy, so it is for machines with cores to spare. `auto` polls for up to 200 µs, and ever more
 * seldom while that is in vain.
 */
export type Spin = number | 'auto'

/** Options of {@link ShmManager.open}. */
export interface OpenOptions {
  /** Pool budget of the domain in bytes. Default: 256 MiB when this creates the domain, else what it has. */
  maxBytes?: Size
  /** Keep the domain when its last participant leaves. Default: false. */
  persist?: boolean
  /** Name of this participant in snapshots, at most 63 bytes. Default: program and process id. */
  name?: string
  /** Directory that holds domains, instead of `MILLRACE_DIR` or the system's. */
  directory?: string
  /** How long to wait for the domain to become ready, in ms. Default: 10 000. */
  openTimeout?: number
  /**
   * What `put` does when the pool is exhausted, which it is when it has grown to `maxBytes` and no buffer is free: `reject`
   * (default) fails with `ERR_MILLRACE_EXHAUSTED`, `wait` waits for a buffer to come back.
   */
  exhausted?: ExhaustedPolicy
  /** How long a wait polls before it sleeps, unless it says itself: see {@link WaitOptions.spin}. Default: 0. */
  spin?: Spin
  /**
   * For tests: every message gets an ArrayBuffer of its own that is detached at release, and references that are garbage
   * collected without release are reported as process warnings (`MILLRACE_LEAK`) with the stack that took them. Default: false.
   */
  guard?: boolean
}

/** Options of {@link ShmManager.portQueue}. Those left out take what an existing queue has, or the default. */
export interface QueueOptions<T> {
  /** Messages the queue holds, rounded up to a power of two; 1 … 1 048 576. Default: 1024. */
  capacity?: number
  /**
   * Messages that a send may leave in the queue, 1 … `capacity`: exactly, with any number of senders. Those that were given back count,
   * too. 0 is as many as there is room for. Default: 0.
   */
  limit?: number
  /** What a send does when the queue is full. Default: `block`. */
  overflow?: Overflow
  /**
   * What happens to messages whose consumer dies. An at-least-once queue lets no more than `capacity` messages out at once
   * that are not acknowledged. Default: `at-most-once`.
   */
  delivery?: Delivery
  /**
   * Needs `delivery: 'at-least-once'` beside it: how often one message is delivered at most; it then goes to queue
   * `<name>.dead` as it is. 0 is no limit. Default: 0.
   */
  maxDeliveries?: number
  /** 1 admits a single producing participant: any other that sends gets `ERR_MILLRACE_ROLE`. Default: `many`. */
  producers?: 1 | 'many'
  /** 1 admits a single consuming participant: any other that receives gets `ERR_MILLRACE_ROLE`. Default: `many`. */
  consumers?: 1 | 'many'
  /** A number of yours that says what the queue carries, 32 bits; 0 is none. Default: 0. */
  typeId?: number
  /** How `put` and `get` turn values into bytes. Default: what the queue has, else `bytes`. */
  codec?: CodecOption<T>
}

/** Options of {@link ShmManager.topic}. Those left out take what an existing topic has, or the default. */
export interface TopicOptions<T> {
  /** Messages kept for those who subscribe later, rounded up to a power of two; 0 … 1 048 576. Default: 0. */
  history?: number
  /** A number of yours that says what the topic carries, 32 bits; 0 is none. Default: 0. */
  typeId?: number
  /** How `put` and `get` turn values into bytes. Default: what the topic has, else `bytes`. */
  codec?: CodecOption<T>
}

/** Options of {@link Topic.subscribe}. Those left out take what an existing subscription of that name has, or the default. */
export interface SubscribeOptions {
  /**
   * A subscription with a name (of up to 31 characters) stays when its subscriber closes it or dies, and goes on collecting;
   * whoever subscribes by that name goes on with it, and several that do share its messages. Default: none, it ends with its
   * subscriber.
   */
  name?: string
  /** Messages its queue holds, rounded up to a power of two; 1 … 1 048 576. Default: 1024. */
  capacity?: number
  /**
   * What happens to a message when the queue is full: with `block` publishers wait for this subscriber, and for no other;
   * `reject` is `drop-newest`. Default: `block`.
   */
  overflow?: Overflow
  /** What happens to messages whose subscriber dies; at-least-once makes sense with a `name`. Default: `at-most-once`. */
  delivery?: Delivery
  /**
   * Needs `delivery: 'at-least-once'` and a `name` beside it: how often one message is delivered at most; it then goes to
   * queue `<topic>.<name>.dead` as it is. 0 is no limit. Default: 0.
   */
  maxDeliveries?: number
}

/** Options of everything that waits. */
export interface WaitOptions {
  /** How long to wait, in ms; then `ERR_MILLRACE_TIMEOUT`. Default: for ever. */
  timeout?: number
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal
  /** How long to poll before going to sleep; see {@link Spin}. Default: that of {@link OpenOptions.spin}. */
  spin?: Spin
}

/** Options of everything that blocks its thread. */
export interface BlockingOptions {
  /** How long to wait, in ms; then `ERR_MILLRACE_TIMEOUT`. Default: for ever. */
  timeout?: number
  /** Allow it on the main thread, where it stops the event loop; else `ERR_MILLRACE_WOULD_BLOCK`. Default: false. */
  allowBlocking?: boolean
  /** As {@link WaitOptions.spin}. */
  spin?: Spin
}

export const OVERFLOWS = ['block', 'reject', 'drop-oldest', 'drop-newest', 'latest'] as const
export const DELIVERIES = ['at-most-once', 'at-least-once'] as const
const EXHAUSTED = ['reject', 'wait'] as const

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
const SIZE = /^(\d+(?:\.\d+)?) ?(B|KB|MB|GB|KiB|MiB|GiB|TiB)$/
const UNITS: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}
/** Longer than it takes to wake a sleeper, and short enough for an event loop to bear. */
const MAX_SPIN_US = 1000
/** setTimeout's limit. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** @throws {@link MillraceError} `ERR_MILLRACE_INVALID_NAME` unless `name` may name a `what` (domain, queue, …). */
export function checkName(what: string, name: unknown, max = MAX_NAME_BYTES): string {
  if (typeof name === 'string' && name.length <= max && NAME.test(name)) return name
  const rule = `1 to ${max} letters, digits, ".", "_" or "-", beginning with a letter or digit`
  throw new MillraceError('ERR_MILLRACE_INVALID_NAME', `${what} name must be ${rule}, not ${show(name)}`)
}

/** A whole number within bounds. */
export function checkInteger(what: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw invalidArgument(what, `a whole number from ${min} to ${max}`, value)
}

/** A {@link Size} in bytes, within bounds. */
export function checkSize(what: string, value: unknown, min: number, max: number): number {
  const match = typeof value === 'string' ? SIZE.exec(value) : null
  const bytes = match === null ? value : Math.round(Number(match[1]) * UNITS[match[2]!]!)
  if (typeof bytes === 'number' && Number.isInteger(bytes) && bytes >= min && bytes <= max) return bytes
  throw invalidArgument(what, `a number of bytes from ${min} to ${max}, or text such as '512MiB'`, value)
}

/** @throws unless `options` may rule a wait. The reason of a signal that is aborted already is thrown as it is. */
export function checkWait(options: WaitOptions | undefined): void {
  if (options === undefined) return
  const { signal, timeout, spin } = checkObject('options', options)
  checkTimeout('timeout', timeout)
  checkSpin(spin)
  checkSignal(signal)?.throwIfAborted()
}

/** How to poll; not at all when left out. */
export function checkSpin(value: unknown): Spin {
  if (value === undefined) return 0
  if (value === 'auto' || (typeof value === 'number' && value >= 0 && value <= MAX_SPIN_US)) return value
  throw invalidArgument('spin', `'auto', or a number of microseconds from 0 to ${MAX_SPIN_US}`, value)
}

/** @throws unless `signal` is an AbortSignal or left out. */
export function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw invalidArgument('signal', 'an AbortSignal', signal)
}

/** A time to wait in ms; infinite when left out. */
export function checkTimeout(what: string, value: unknown): number {
  if (value === undefined || value === Infinity) return Infinity
  if (typeof value === 'number' && value >= 0 && value <= MAX_TIMEOUT_MS) return value
  throw invalidArgument(what, `a number of milliseconds from 0 to ${MAX_TIMEOUT_MS}, or Infinity`, value)
}

/** @internal Options of {@link ShmManager.open} as the addon takes them. */
export function bindOpenOptions(options: OpenOptions, defaultName: string): BindingOpenOptions {
  const { maxBytes, persist, name = defaultName, directory, openTimeout } = options
  return {
    name: checkParticipantName(name),
    ...(maxBytes !== undefined && { maxBytes: checkSize('maxBytes', maxBytes, MIN_MAX_BYTES, MAX_MAX_BYTES) }),
    ...(persist !== undefined && { persist: checkBoolean('persist', persist) }),
    ...(directory !== undefined && { directory: checkText('directory', directory) }),
    ...(openTimeout !== undefined && { openTimeoutMs: checkInteger('openTimeout', openTimeout, 0, MAX_TIMEOUT_MS) }),
  }
}

/** @internal Options of {@link ShmManager.portQueue} as the addon takes them; those left out stay out. */
export function bindQueueOptions<T>(options: QueueOptions<T>, codec: string | undefined): BindingQueueOptions {
  const { capacity, limit, overflow, delivery, maxDeliveries, producers, consumers, typeId } = options
  return {
    ...(capacity !== undefined && { capacity: checkInteger('capacity', capacity, 1, MAX_QUEUE_CAPACITY) }),
    ...(limit !== undefined && { limit: checkInteger('limit', limit, 0, MAX_QUEUE_CAPACITY) }),
    ...(overflow !== undefined && { overflow: checkWord('overflow', overflow, OVERFLOWS) }),
    ...(delivery !== undefined && { delivery: checkWord('delivery', delivery, DELIVERIES) }),
    ...(maxDeliveries !== undefined && { maxDeliveries: checkInteger('maxDeliveries', maxDeliveries, 0, 2 ** 32 - 1) }),
    ...(producers !== undefined && { producers: checkWord('producers', producers, ['many', 1]) }),
    ...(consumers !== undefined && { consumers: checkWord('consumers', consumers, ['many', 1]) }),
    ...(typeId !== undefined && { typeId: checkInteger('typeId', typeId, 0, 2 ** 32 - 1) }),
    ...(codec !== undefined && { codec }),
  }
}

/** @internal Options of {@link ShmManager.topic} as the addon takes them; those left out stay out. */
export function bindTopicOptions(
  options: Omit<TopicOptions<never>, 'codec'>,
  codec: string | undefined,
): BindingTopicOptions {
  const { history, typeId } = options
  return {
    ...(history !== undefined && { history: checkInteger('history', history, 0, MAX_QUEUE_CAPACITY) }),
    ...(typeId !== undefined && { typeId: checkInteger('typeId', typeId, 0, 2 ** 32 - 1) }),
    ...(codec !== undefined && { codec }),
  }
}

/** @internal The name that a subscription is to have, if any. */
export function checkSubscriptionName(name: string | undefined): string | undefined {
  return name === undefined ? undefined : checkName('subscription', name, MAX_SUBSCRIPTION_NAME_BYTES)
}

/** @throws unless `value` is one of the policies. */
export function checkExhausted(value: ExhaustedPolicy | undefined): ExhaustedPolicy {
  return value === undefined ? 'reject' : EXHAUSTED[checkWord('exhausted', value, EXHAUSTED)]!
}

/** @throws unless `value` is true or false. */
export function checkBoolean(what: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalidArgument(what, 'true or false', value)
}

/** @throws unless `value` is an object, as options must be. */
export function checkObject<T>(what: string, value: T): T & object {
  if (typeof value === 'object' && value !== null) return value
  throw invalidArgument(what, 'an object', value)
}

/** The position of `value` among the words allowed, which is how the addon names it. */
function checkWord<T>(what: string, value: unknown, words: readonly T[]): number {
  const index = words.indexOf(value as T)
  if (index >= 0) return index
  throw invalidArgument(what, `one of ${words.map(show).join(', ')}`, value)
}

/** A text that is not empty, and that a path or name can be made of. */
export function checkText(what: string, value: unknown): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  throw invalidArgument(what, 'a text that is not empty', value)
}

function checkParticipantName(name: unknown): string {
  if (typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= MAX_NAME_BYTES) return name
  throw invalidArgument('participant name', `a text of 1 to ${MAX_NAME_BYTES} bytes`, name)
}
