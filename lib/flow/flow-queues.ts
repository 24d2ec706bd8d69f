import type { ShmManager } from '../domain/manager.js'
import { MillraceError, misuse } from '../errors.js'
import { MAX_NAME_BYTES } from '../native/generated/limits.js'
import type { PortQueue } from '../queue/port-queue.js'
import { JsInput, JsOutput } from './js-port.js'
import type { FlowLinkOptions } from './options.js'
import type { InputPort, OutputPort } from './port.js'
import { bytes, hashOf } from './type.js'

/** What a queue is for: `from` is one of the outputs that send to it, `part` tells it from others at the same input. */
export interface QueuePurpose {
  readonly to: InputPort<never>
  readonly from: OutputPort
  readonly options: FlowLinkOptions
  readonly part?: string
}

/** Makes the queues of a flow. */
export class FlowQueues {
  /** Every queue that was made. */
  readonly made: PortQueue<unknown>[] = []
  readonly #flow: string
  readonly #shm: ShmManager

  constructor(flow: string, shm: ShmManager) {
    this.#flow = flow
    this.#shm = shm
  }

  make(purpose: QueuePurpose): PortQueue<unknown> {
    const { capacity, overflow, delivery } = purpose.options
    const name = this.#nameOf(purpose)
    const { codec, id } = typeOf(purpose)
    if (this.#shm.portQueue(name).info !== null) {
      const message = `queue '${name}', for ${labelOf(purpose)}, exists: a flow of that name runs, or was killed: destroy the queue, or name the flow or the link differently`
      throw misuse(message)
    }
    const queue = this.#shm.portQueue<unknown>(name, {
      codec,
      typeId: id,
      ...(capacity !== undefined && { capacity }),
      ...(overflow !== undefined && { overflow }),
      ...(delivery !== undefined && { delivery }),
    })
    this.made.push(queue)
    return queue
  }

  /** The queue that the process of the flow has made. */
  attach(purpose: QueuePurpose): PortQueue<unknown> {
    const name = this.#nameOf(purpose)
    const { codec, id } = typeOf(purpose)
    const found = this.#shm.portQueue(name)
    const exists = found.info !== null
    found.detach()
    if (exists) return this.#shm.portQueue<unknown>(name, { codec, typeId: id })
    const message = `queue '${name}', for ${labelOf(purpose)}, is gone: a block at it has ended before`
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

/** What the messages between two ports are. */
function typeOf({ to, from }: QueuePurpose) {
  const described = [to, from].find((port) => port instanceof JsInput || port instanceof JsOutput)
  return (described as JsInput<never> | JsOutput<unknown> | undefined)?.type ?? bytes
}
