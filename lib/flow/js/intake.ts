import type { PortQueue } from '../../queue/port-queue.js'
import type { Limits } from '../../session/limits.js'
import type { Taken } from '../../session/pull-iterator.js'
import type { Objects } from './object-queue.js'
import { ObjectQueue } from './object-queue.js'
import type { QueueEnd } from './own-queue.js'
import type { Encoding, TypeInfo } from '../block/type.js'
import type { Values } from './values.js'
import { MessageValues, ObjectValues } from './values.js'

/** Where a block takes what comes at one of its inputs. */
export interface Intake<V> {
  /** Whether what it gives back is delivered again. */
  readonly redelivers: boolean
  /** Up to `max` values that are there now. */
  take(max: number): Taken<Values<V>>
  /** The same, once there are some; null: nothing more comes. `limits` are those of a block that is not to stop. */
  wait(max: number, limits: Limits): Promise<Values<V> | null>
}

export function intakeOf<V>({ queue, own }: QueueEnd, { encoding }: TypeInfo<V>, ending: AbortSignal): Intake<V> {
  if (queue instanceof ObjectQueue) return new ObjectIntake(queue)
  return own === undefined ? new OuterIntake(queue, encoding!, ending) : new MessageIntake(queue, encoding!)
}

class ObjectIntake<V> implements Intake<V> {
  readonly redelivers = false
  readonly #queue: ObjectQueue

  constructor(queue: ObjectQueue) {
    this.#queue = queue
  }

  take(max: number): Taken<Values<V>> {
    const taken = this.#queue.take(max)
    return taken && valuesOf(taken)
  }

  async wait(max: number, limits: Limits): Promise<Values<V> | null> {
    const taken = await this.#queue.wait(max, limits)
    return taken && valuesOf(taken)
  }
}

/** Messages of a queue of the flow. */
class MessageIntake<V> implements Intake<V> {
  readonly redelivers: boolean
  readonly #queue: PortQueue<unknown>
  readonly #encoding: Encoding<V>

  constructor(queue: PortQueue<unknown>, encoding: Encoding<V>) {
    this.#queue = queue
    this.#encoding = encoding
    this.redelivers = queue.info?.delivery === 'at-least-once'
  }

  take(max: number): Taken<Values<V>> {
    const batch = this.#queue.takeBatch(max)
    return batch && new MessageValues(batch, this.#encoding)
  }

  async wait(max: number, limits: Limits): Promise<Values<V> | null> {
    const batch = await this.#queue.waitForBatch(max, limits)
    return batch && new MessageValues(batch, this.#encoding)
  }
}

/** Those of a queue of others: it is emptied when the flow ends, and has no other end than that. */
class OuterIntake<V> extends MessageIntake<V> {
  readonly #ending: AbortSignal

  constructor(queue: PortQueue<unknown>, encoding: Encoding<V>, ending: AbortSignal) {
    super(queue, encoding)
    this.#ending = ending
  }

  override take(max: number): Taken<Values<V>> {
    const taken = super.take(max)
    return taken === undefined && this.#ending.aborted ? null : taken
  }

  override async wait(max: number, limits: Limits): Promise<Values<V> | null> {
    try {
      return await super.wait(max, { ...limits, signal: this.#ending })
    } catch (error) {
      limits.signal?.throwIfAborted()
      if (!this.#ending.aborted || error !== this.#ending.reason) throw error
      return this.take(max) ?? null
    }
  }
}

function valuesOf<V>({ values, gap }: Objects): Values<V> {
  return new ObjectValues(values as readonly V[], gap)
}
