import type { ShmManager } from '../../domain/manager.js'
import { MillraceError, misuse } from '../../errors.js'
import type { BufferPtr } from '../../memory/buffer-ptr.js'
import { MAX_NAME_BYTES } from '../../native/generated/limits.js'
import type { PortQueue } from '../../queue/port-queue.js'
import { JsInput, JsOutput } from '../block/js-port.js'
import type { FlowLinkOptions } from '../block/options.js'
import { ObjectQueue } from '../js/object-queue.js'
import type { InputPort, OutputPort } from '../block/port.js'
import { bytes, hashOf } from '../block/type.js'

/** What a queue is for: `from` is one of the outputs that send to it, `part` tells it from others at the same input. */
export interface QueuePurpose {
  readonly to: InputPort<never>
  readonly from: OutputPort
  readonly options: FlowLinkOptions
  readonly part?: string
}

/** Messages that a queue holds, unless its link says. */
export const DEFAULT_CAPACITY = 1024

/** Makes the queues of a flow. */
export class FlowQueues {
  readonly #made: PortQueue<unknown>[] = []
  /** Of these, those with messages of a flow before. */
  readonly #inherited = new Set<PortQueue<unknown>>()
  readonly #forObjects: ObjectQueue[] = []
  readonly #flow: string
  readonly #shm: ShmManager

  constructor(flow: string, shm: ShmManager) {
    this.#flow = flow
    this.#shm = shm
  }

  /**
   * Makes a queue, or goes on with one that a flow of that name has left, which was killed: nobody has it open any more, and what is in it is to
   * arrive.
   */
  make(purpose: QueuePurpose): PortQueue<unknown> {
    const { capacity, overflow, delivery } = purpose.options
    const name = this.#nameOf(purpose)
    const { codec, id } = recordOf(purpose)
    const left = this.#takeOver(name, purpose)
    const queue = this.#shm.portQueue<unknown>(name, {
      codec,
      typeId: id,
      ...(capacity !== undefined && { capacity }),
      ...(overflow !== undefined && { overflow }),
      ...(delivery !== undefined && { delivery }),
    })
    const sent = left.length === 0 ? 0 : queue.sendMany(left)
    for (const message of left.slice(sent)) message.release()
    this.#made.push(queue)
    if (queue.depth > 0) this.#inherited.add(queue)
    return queue
  }

  /** For values that are handed over by reference. */
  makeForObjects(purpose: QueuePurpose): ObjectQueue {
    const queue = new ObjectQueue(this.#shm.session, `link ${labelOf(purpose)}`, purpose.options)
    this.#forObjects.push(queue)
    return queue
  }

  /** Another process of the flow has made it, and need not live to remove it. */
  adopt(name: string): void {
    if (!this.#made.some((queue) => queue.name === name)) this.#made.push(this.#shm.portQueue<unknown>(name))
  }

  /** The flow is over: removes all that is left of its queues. */
  remove(): void {
    for (const queue of [...this.#made, ...this.#forObjects]) queue.destroy()
  }

  /** The flow cannot be started: queues that were made for it go, what others have left stays as it is. */
  abandon(): void {
    for (const queue of this.#made) {
      if (this.#inherited.has(queue)) queue.detach()
      else queue.destroy()
    }
  }

  /** Makes room for a queue of that name, unless an open one is there to go on with. @returns messages of one that had been closed already */
  #takeOver(name: string, purpose: QueuePurpose): BufferPtr[] {
    // Looked at from outside: who has a queue open counts.
    const stats = this.#shm.stats().queues[name]
    if (stats === undefined) return []
    if (stats.attached > 0) {
      const message = `queue "${name}", for ${labelOf(purpose)}, exists, and ${stats.attached} participants have it open: a flow of that name runs, or a process of one that was killed. Name the flow or the link differently, or wait for its end`
      throw misuse(message)
    }
    const { capacity = DEFAULT_CAPACITY } = purpose.options
    if (stats.closed && stats.depth > capacity) {
      const message = `queue "${name}", for ${labelOf(purpose)}, is of a flow that was killed, and has ${stats.depth} messages: more than the capacity of ${capacity}. Make that larger, or receive them`
      throw misuse(message)
    }
    const found = this.#shm.portQueue<unknown>(name)
    if (!stats.closed && stats.depth > 0) {
      found.detach()
      return []
    }
    const left = stats.depth === 0 ? [] : found.receiveMany(stats.depth)
    found.destroy()
    return left
  }

  /** The queue that the process of the flow has made. */
  attach(purpose: QueuePurpose): PortQueue<unknown> {
    const name = this.#nameOf(purpose)
    const { codec, id } = recordOf(purpose)
    const found = this.#shm.portQueue(name)
    const exists = found.info !== null
    found.detach()
    if (exists) return this.#shm.portQueue<unknown>(name, { codec, typeId: id })
    const message = `queue "${name}", for ${labelOf(purpose)}, is gone: a block at it has ended before`
    throw new MillraceError('ERR_MILLRACE_NOT_FOUND', message)
  }

  #nameOf({ to, options: { name }, part }: QueuePurpose): string {
    const label = name ?? `${this.#flow}.${to.label}`
    return queueNameOf(part === undefined ? label : `${label}.${part}`)
  }
}

/** What the queue of an input is called, unless the link says: names of blocks are free, and two of them never make one. */
function queueNameOf(label: string): string {
  const name = label.replace(/[^A-Za-z0-9._-]/g, '_')
  if (name === label && name.length <= MAX_NAME_BYTES) return name
  const hash = `-${hashOf(label).toString(16)}`
  return name.slice(0, MAX_NAME_BYTES - hash.length) + hash
}

function labelOf({ from, to }: QueuePurpose): string {
  return `${from.label} → ${to.label}`
}

/** What a queue records of the messages between two ports. */
function recordOf({ to, from }: QueuePurpose) {
  const described = [to, from].find((port) => port instanceof JsInput || port instanceof JsOutput)
  const { encoding, id } = (described as JsInput<never> | JsOutput<unknown> | undefined)?.type ?? bytes
  return { codec: encoding!.codec, id }
}
