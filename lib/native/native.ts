// The only importer of the addon. Hot operations take their arguments from, and leave their results in, the command block:
// one Uint32Array per isolate, so that a call into native code carries no arguments at all. Nothing here may run user code
// between filling the block and reading it, and callers copy results out before they do.

import binding, { type BindingManager } from '#native'
import {
  ATTEMPT,
  BYTES,
  COUNT,
  DELIVERED,
  DESCRIPTORS,
  DESCRIPTOR_WORDS,
  DROPPED,
  GAP,
  ID,
  KIND,
  LEASE,
  LENGTHS,
  MANAGER,
  NEWS,
  NEWS_DEPARTURES,
  NEWS_REPORTS,
  QUEUE,
  RECEIVED,
  STAGE_BYTES,
  STATUS,
  WORDS,
} from './generated/block.js'

export type {
  BindingManager,
  BindingObserver,
  BindingOpenOptions,
  BindingQueueInfo,
  BindingQueueOptions,
  BindingTopicInfo,
  BindingTopicOptions,
} from '#native'
export type BindingSegment = ReturnType<BindingManager['segment']>

/** Names no manager: whatever is asked of it answers `STATUS_MANAGER_CLOSED`. */
export const NO_MANAGER = 2 ** 32 - 1

/** How a hot operation ended: one of the `STATUS_…` constants. */
export type Status = number

export const { BindingManager: NativeManager, BindingObserver: NativeObserver } = binding

const memory = binding.commandBlock()
const block = new Uint32Array(memory, 0, WORDS)
const call = binding.hotOperations()

/**
 * What to add to `process.hrtime`, in ms, for the clock that all processes of the machine share: a container may have a time of its own,
 * which does not change while a process runs.
 */
export const SHARED_CLOCK_OFFSET_MS = clockOffset()

function clockOffset(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return Math.round(binding.clockMs() - seconds * 1000 - nanoseconds / 1e6)
}

/** Small messages on their way in and out, one after the other; {@link lengthAt} says how long each is. */
export const stage = new Uint8Array(memory, WORDS * Uint32Array.BYTES_PER_ELEMENT, STAGE_BYTES)

/** Allocates up to `count` buffers of `bytes`; their ids are the results. */
export function allocate(manager: number, count: number, bytes: number): Status {
  block[MANAGER] = manager
  block[COUNT] = count
  block[BYTES] = bytes
  call.allocate()
  return block[STATUS]!
}

/** Sends the first `count` ids set by {@link setId}; the result count is how many were accepted. */
export function send(manager: number, queue: number, count: number): Status {
  block[MANAGER] = manager
  block[QUEUE] = queue
  block[COUNT] = count
  call.send()
  return block[STATUS]!
}

/** Copies the first `count` messages on the {@link stage} into the queue; the result count is how many were accepted. */
export function put(manager: number, queue: number, count: number): Status {
  block[MANAGER] = manager
  block[QUEUE] = queue
  block[COUNT] = count
  call.put()
  return block[STATUS]!
}

/**
 * Takes up to `max` messages and leaves copies on the {@link stage}. `STATUS_TOO_LARGE`: the next one does not fit there, or is to be
 * acknowledged, so {@link receive} it.
 */
export function get(manager: number, queue: number, max: number): Status {
  block[MANAGER] = manager
  block[QUEUE] = queue
  block[COUNT] = max
  call.get()
  return block[STATUS]!
}

/**
 * Publishes the first `count` ids set by {@link setId}; the result count is how many were accepted. `STATUS_FULL`: everybody
 * has the next one but those that `takeBlocked` names.
 */
export function publish(manager: number, topic: number, count: number): Status {
  block[MANAGER] = manager
  block[QUEUE] = topic
  block[COUNT] = count
  call.publish()
  return block[STATUS]!
}

/** How many messages the last {@link publish} put into queues. */
export function deliveredCount(): number {
  return block[DELIVERED]!
}

/** How many it did not, by the policies of their subscribers. */
export function droppedCount(): number {
  return block[DROPPED]!
}

/** Takes up to `max` messages; the results describe them. */
export function receive(manager: number, queue: number, max: number): Status {
  block[MANAGER] = manager
  block[QUEUE] = queue
  block[COUNT] = max
  call.receive()
  return block[STATUS]!
}

/** Gives back message `id`, which is not to be acknowledged, and takes the next one: two crossings in one. */
export function next(manager: number, queue: number, id: number): Status {
  block[MANAGER] = manager
  block[QUEUE] = queue
  setId(0, id, RECEIVED)
  call.next()
  return block[STATUS]!
}

/** Gives back the first `count` references set by {@link setId}; leased ones are acknowledged. */
export function release(manager: number, count: number): Status {
  block[MANAGER] = manager
  block[COUNT] = count
  call.release()
  return block[STATUS]!
}

/** Returns the first `count` leased messages set by {@link setId} to their queues, which deliver them again. */
export function nack(manager: number, count: number): Status {
  block[MANAGER] = manager
  block[COUNT] = count
  call.nack()
  return block[STATUS]!
}

/** Holds the first `count` ids set by {@link setId} once more. */
export function share(manager: number, count: number): Status {
  block[MANAGER] = manager
  block[COUNT] = count
  call.share()
  return block[STATUS]!
}

/** Describes the next message without taking it, and holds its buffer once more. */
export function peek(manager: number, queue: number): Status {
  block[MANAGER] = manager
  block[QUEUE] = queue
  call.peek()
  return block[STATUS]!
}

/** Asks to be rung when `queue` has data or space (or the pool has `bytes`). `STATUS_OK`: it has now, try again. */
export function arm(manager: number, queue: number, kind: number, bytes: number): Status {
  block[MANAGER] = manager
  block[QUEUE] = queue
  block[KIND] = kind
  block[BYTES] = bytes
  call.arm()
  return block[STATUS]!
}

/** Nobody here waits for that any more. */
export function disarm(manager: number, queue: number, kind: number): void {
  block[MANAGER] = manager
  block[QUEUE] = queue
  block[KIND] = kind
  call.disarm()
}

/** What the ring was about: the results are (queue, kind) pairs, read with {@link readyQueue} and {@link readyKind}. */
export function ready(manager: number): Status {
  block[MANAGER] = manager
  call.ready()
  return block[STATUS]!
}

/** Begins a run of the request set by {@link setId}, which may be run `runsMax` times; {@link claimOutcome} says how that ended. */
export function claim(manager: number, runsMax: number): Status {
  block[MANAGER] = manager
  block[BYTES] = runsMax
  call.claim()
  return block[STATUS]!
}

/** How the last {@link claim} ended: one of the `CLAIM_…` constants. */
export function claimOutcome(): number {
  return block[KIND]!
}

/** Says that nobody wants the request set by {@link setId} any more, and leaves the state it was in, see {@link requestWord}. */
export function cancel(manager: number): Status {
  block[MANAGER] = manager
  call.cancel()
  return block[STATUS]!
}

/** Leaves the state of the request set by {@link setId}. */
export function inspect(manager: number): Status {
  block[MANAGER] = manager
  call.inspect()
  return block[STATUS]!
}

/** One word of the state that {@link claim}, {@link cancel} and {@link inspect} leave. */
export function requestWord(word: number): number {
  return block[DESCRIPTORS + word]!
}

/** Number of results of the last operation. */
export function resultCount(): number {
  return block[COUNT]!
}

/** Whether recovery reports or news of stalls wait to be taken, as of the last {@link ready}. */
export function hasReports(): boolean {
  return (block[NEWS]! & NEWS_REPORTS) !== 0
}

/** Whether participants have left or died since the {@link ready} before the last. */
export function hasDepartures(): boolean {
  return (block[NEWS]! & NEWS_DEPARTURES) !== 0
}

/** Bytes of message `index` on the {@link stage}. */
export function lengthAt(index: number): number {
  return block[LENGTHS + index]!
}

/** Copies of the first `count` messages on the {@link stage}. */
export function takeStaged(count: number): Uint8Array<ArrayBuffer>[] {
  let end = 0
  return Array.from({ length: count }, (_, i) => stage.slice(end, (end += lengthAt(i))))
}

/** Says that message `index` on the {@link stage} has `bytes` bytes. */
export function setLength(index: number, bytes: number): void {
  block[LENGTHS + index] = bytes
}

/** Buffer id of result `index`. */
export function idAt(index: number): number {
  return block[DESCRIPTORS + index * DESCRIPTOR_WORDS + ID]!
}

/** Messages dropped on the queue just before result `index`. */
export function gapAt(index: number): number {
  return block[DESCRIPTORS + index * DESCRIPTOR_WORDS + GAP]!
}

/** Lease of result `index`: how it is held. Goes with its id wherever that goes. */
export function leaseAt(index: number): number {
  return block[DESCRIPTORS + index * DESCRIPTOR_WORDS + LEASE]!
}

/** Delivery attempt of result `index`; 1 is the first. */
export function attemptAt(index: number): number {
  return block[DESCRIPTORS + index * DESCRIPTOR_WORDS + ATTEMPT]!
}

/** Queue handle of ready pair `index`. */
export const readyQueue = idAt

/** Kind of ready pair `index`. */
export const readyKind = gapAt

/** Names buffer `id`, under `lease`, as argument `index` of the next operation. */
export function setId(index: number, id: number, lease: number): void {
  const word = DESCRIPTORS + index * DESCRIPTOR_WORDS
  block[word + ID] = id
  block[word + LEASE] = lease
}
