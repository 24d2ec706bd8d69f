import type { ShmManager } from '../domain/manager.js'
import { MillraceError } from '../errors.js'
import { MAX_NAME_BYTES } from '../native/generated/limits.js'
import type { PortQueue } from '../queue/port-queue.js'
import type { Block } from './block.js'
import type { Inlet } from './block-io.js'
import { Merge } from './generated/blocks.js'
import type { JsBlock } from './js-block.js'
import { JsInput, JsOutput } from './js-port.js'
import type { OwnQueue, Wiring } from './lane.js'
import { Lane } from './lane.js'
import { NativeBlock } from './native-block.js'
import type { OnError } from './on-error.js'
import type { FlowLinkOptions } from './options.js'
import type { InputPort, OuterQueue, OutputPort } from './port.js'
import type { Scheduler } from './scheduler.js'
import { bytes, mismatch } from './type.js'

/** A block of a flow, and what becomes of messages that one of JavaScript fails with. */
export type AddedBlock =
  | { readonly block: NativeBlock; readonly native: true }
  | (Omit<OnError, 'deadLetters'> & {
      readonly block: JsBlock
      readonly native: false
      readonly deadLetters: string | undefined
    })

/** A link of a flow. */
export interface FlowLink {
  readonly from: OutputPort
  readonly to: InputPort<never>
  readonly options: FlowLinkOptions
}

/** What the links of a flow have come to. */
export interface Wired {
  readonly lanes: readonly Lane[]
  /** Every queue that was made for it. */
  readonly queues: readonly PortQueue<unknown>[]
  readonly hasNative: boolean
}

/** Makes the queues of a flow. When it throws, those that have been made are gone again. */
export function wire(
  name: string,
  shm: ShmManager,
  scheduler: Scheduler,
  blocks: readonly AddedBlock[],
  links: readonly FlowLink[],
): Wired {
  const wiring = new FlowWiring(name, shm, scheduler)
  try {
    return wiring.wire(blocks, links)
  } catch (error) {
    for (const queue of wiring.queues) queue.destroy()
    throw error
  }
}

class FlowWiring {
  readonly queues: PortQueue<unknown>[] = []
  readonly #name: string
  readonly #shm: ShmManager
  readonly #scheduler: Scheduler
  readonly #inputs = new Map<InputPort<never>, Inlet>()
  readonly #outputs = new Map<OutputPort, (OwnQueue | PortQueue<unknown>)[]>()

  constructor(name: string, shm: ShmManager, scheduler: Scheduler) {
    this.#name = name
    this.#shm = shm
    this.#scheduler = scheduler
  }

  wire(blocks: readonly AddedBlock[], links: readonly FlowLink[]): Wired {
    for (const { block } of blocks) this.#checkLinked(block, links)
    for (const to of new Set(links.map((link) => link.to)))
      this.#linkTo(
        to,
        links.filter((link) => link.to === to),
      )
    const lanes: Lane[] = []
    for (const added of blocks) if (!added.native) lanes.push(new Lane(added.block, this.#wiringOf(added)))
    return { lanes, queues: this.queues, hasNative: blocks.some(({ native }) => native) }
  }

  /** All links to one input. Native blocks link among themselves; everything else meets at a queue, which has one kind of sender. */
  #linkTo(to: InputPort<never>, links: readonly FlowLink[]): void {
    const [{ options }] = links as [FlowLink]
    const native = links.map(({ from }) => from).filter((from) => from.owner instanceof NativeBlock)
    const others = links.map(({ from }) => from).filter((from) => !(from.owner instanceof NativeBlock))
    if (others.length === 0 && to.owner instanceof NativeBlock) {
      for (const from of native) this.#scheduler.link(from, to as InputPort, options)
    } else if (native.length === 0) {
      const own = this.#makeQueue(to, others[0]!, options)
      this.#receive(to, own.queue)
      this.#send(others, own)
    } else if (native.length === 1 && others.length === 0) {
      const { queue } = this.#makeQueue(to, native[0]!, options)
      this.#receive(to, queue)
      native[0]!.connectOnly(queue)
    } else {
      this.#linkTo(to, [{ from: this.#merge(to, native, others, options), to, options }])
    }
  }

  /** The output of a native block that takes what `native` and `others` send. */
  #merge(
    to: InputPort<never>,
    native: readonly OutputPort[],
    others: readonly OutputPort[],
    options: FlowLinkOptions,
  ): OutputPort {
    const { name: _, ...others_ } = options
    const merge = this.#scheduler.add(new Merge<unknown>({ inputs: native.length + Math.min(others.length, 1) }), {
      name: `${to.label}.merge`,
    })
    native.forEach((from, at) => this.#scheduler.link(from, merge.in[at]!, others_))
    if (others.length > 0) {
      const own = this.#makeQueue(merge.in[native.length]!, others[0]!, others_)
      merge.in[native.length]!.connectOnly(own.queue)
      this.#send(others, own)
    }
    return merge.out
  }

  #makeQueue(to: InputPort<never>, from: OutputPort, options: FlowLinkOptions): OwnQueue {
    const { name = queueName(`${this.#name}.${to.label}`), capacity, overflow, delivery } = options
    const described = [to, from].find((port) => port instanceof JsInput || port instanceof JsOutput)
    const { codec, id } = (described as JsInput<never> | JsOutput<unknown> | undefined)?.type ?? bytes
    if (this.#shm.portQueue(name).info !== null) {
      const message = `queue '${name}', for ${from.label} → ${to.label}, exists: a flow of that name runs, or was killed: destroy the queue, or name the flow or the link differently`
      throw new MillraceError('ERR_MILLRACE_INVALID_ARGUMENT', message)
    }
    const queue = this.#shm.portQueue<unknown>(name, {
      codec,
      typeId: id,
      ...(capacity !== undefined && { capacity }),
      ...(overflow !== undefined && { overflow }),
      ...(delivery !== undefined && { delivery }),
    })
    this.queues.push(queue)
    return { queue, senders: 0 }
  }

  #receive(to: InputPort<never>, queue: PortQueue<unknown>): void {
    if (to instanceof JsInput) this.#inputs.set(to, { queue, own: true })
    else to.connectOnly(queue)
  }

  #send(from: readonly OutputPort[], own: OwnQueue): void {
    own.senders = from.length
    for (const port of from) this.#targetsOf(port).push(own)
  }

  #targetsOf(port: OutputPort): (OwnQueue | PortQueue<unknown>)[] {
    const targets = this.#outputs.get(port) ?? []
    this.#outputs.set(port, targets)
    return targets
  }

  #wiringOf({ block, deadLetters, retries, backoffMs, skips }: AddedBlock & { readonly native: false }): Wiring {
    const inputs = new Map<JsInput<never>, Inlet>()
    for (const port of block.inputs as readonly JsInput<never>[]) {
      const [queue] = port.queues
      inputs.set(port, this.#inputs.get(port) ?? { queue: this.#outer(port, queue!), own: false })
    }
    const outputs = new Map<JsOutput<unknown>, readonly (OwnQueue | PortQueue<unknown>)[]>()
    for (const port of block.outputs as readonly JsOutput<unknown>[]) {
      outputs.set(port, [...this.#targetsOf(port), ...port.queues.map((queue) => this.#outer(port, queue))])
    }
    const letters = deadLetters === undefined ? undefined : this.#shm.portQueue<unknown>(deadLetters)
    return { inputs, outputs, onError: { retries, backoffMs, skips, deadLetters: letters } }
  }

  /** A queue that others have made, as we use it. It is compared with what the port takes or sends, if it exists. */
  #outer(port: JsInput<never> | JsOutput<unknown>, { name }: OuterQueue): PortQueue<unknown> {
    const queue = this.#shm.portQueue<unknown>(name)
    const { info } = queue
    const found = info && { ...bytes, name: info.codec, id: info.typeId, codec: { ...bytes.codec, name: info.codec } }
    if (found === null || mismatch(found, port.type) === undefined) return queue
    const { codec, id, name: wanted } = port.type
    const message = `${port.label} is of type '${wanted}' (codec '${codec.name}', id ${id}), queue '${name}' has codec '${info!.codec}' and id ${info!.typeId}`
    throw new MillraceError('ERR_MILLRACE_OPTIONS_MISMATCH', message)
  }

  #checkLinked(block: Block, links: readonly FlowLink[]): void {
    const ports: [what: string, port: InputPort<never> | OutputPort, isLinked: boolean][] = [
      ...block.inputs.map((port) => ['input', port, links.some(({ to }) => to === port)] as const),
      ...block.outputs.map((port) => ['output', port, links.some(({ from }) => from === port)] as const),
    ].map(([what, port, linked]) => [what, port, linked || port.queues.length > 0])
    for (const [what, { name }, isLinked] of ports) {
      if (isLinked) continue
      const message = `${what} '${name}' of block '${block.name}' is linked to nothing`
      throw new MillraceError('ERR_MILLRACE_INVALID_ARGUMENT', message)
    }
  }
}

/** What a queue may be called: names of blocks are free. */
function queueName(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, MAX_NAME_BYTES)
}
