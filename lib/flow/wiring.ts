import type { ShmManager } from '../domain/manager.js'
import { MillraceError, misuse } from '../errors.js'
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
import type { Crossing } from './placement.js'
import type { Scheduler } from './scheduler.js'
import { bytes, hashOf, mismatch } from './type.js'

/** A block of a flow, and what becomes of messages that one of JavaScript fails with. */
export type AddedBlock =
  | { readonly block: NativeBlock; readonly native: true; readonly process: string | undefined }
  | (Omit<OnError, 'deadLetters'> & {
      readonly block: JsBlock
      readonly native: false
      readonly process: string | undefined
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
  /** Queues between blocks of different processes. */
  readonly crossings: readonly Crossing[]
}

/** Makes the queues of a flow. When it throws, those that have been made are gone again. */
export function wire(
  name: string,
  shm: ShmManager,
  scheduler: Scheduler,
  blocks: readonly AddedBlock[],
  links: readonly FlowLink[],
  isHere: (process: string | undefined) => boolean,
): Wired {
  const wiring = new FlowWiring(name, shm, scheduler, isHere)
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
  readonly #isHere: (process: string | undefined) => boolean
  readonly #crossings: Crossing[] = []
  readonly #processes = new Map<unknown, string | undefined>()

  constructor(name: string, shm: ShmManager, scheduler: Scheduler, isHere: (process: string | undefined) => boolean) {
    this.#isHere = isHere
    this.#name = name
    this.#shm = shm
    this.#scheduler = scheduler
  }

  wire(blocks: readonly AddedBlock[], links: readonly FlowLink[]): Wired {
    for (const { block, process } of blocks) {
      this.#checkLinked(block, links)
      this.#processes.set(block, process)
    }
    for (const to of new Set(links.map((link) => link.to)))
      this.#linkTo(
        to,
        links.filter((link) => link.to === to),
      )
    const lanes: Lane[] = []
    const here = blocks.filter(({ process }) => this.#isHere(process))
    for (const added of here) if (!added.native) lanes.push(new Lane(added.block, this.#wiringOf(added)))
    const hasNative = here.some(({ native }) => native)
    return { lanes, queues: this.queues, hasNative, crossings: this.#crossings }
  }

  /** All links to one input. Native blocks link among themselves; everything else meets at a queue, which has one kind of sender. */
  #linkTo(to: InputPort<never>, links: readonly FlowLink[]): void {
    const [{ options }] = links as [FlowLink]
    const ends = [to, ...links.map(({ from }) => from)].map(({ owner }) => this.#processes.get(owner))
    const allNative = [to, ...links.map(({ from }) => from)].every(isNative)
    // A process that may be restarted: the scheduler's own links die with it, which nothing must that is delivered again.
    const outlives = ends[0] !== undefined && (!allNative || options.delivery === 'at-least-once')
    if (new Set(ends).size > 1 || outlives) return this.#linkAcross(to, links, ends)
    if (!this.#isHere(ends[0])) return
    const { native, others } = sendersOf(links)
    if (others.length === 0 && isNative(to)) {
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

  /** Links that another process has an end of: the process of the flow makes the queue, which outlives the others and their restarts. */
  #linkAcross(
    to: InputPort<never>,
    links: readonly FlowLink[],
    [end, ...starts]: readonly (string | undefined)[],
  ): void {
    const [{ from, options }] = links as [FlowLink]
    if (new Set(starts).size > 1) {
      const froms = links.map((link) => link.from.label).join(', ')
      const message = `${to.label} is linked to outputs of several processes: ${froms}. Put a Merge before it, in its process`
      throw misuse(message)
    }
    const isFirst = this.#isHere(undefined)
    // Those of others may be gone already.
    if (!isFirst && !this.#isHere(end) && !this.#isHere(starts[0])) return
    const own = isFirst ? this.#makeQueue(to, from, options) : this.#attach(to, from, options)
    this.#crossings.push({ queue: own.queue, processes: [end, starts[0]] })
    if (this.#isHere(end)) this.#receive(to, own.queue)
    if (!this.#isHere(starts[0])) return
    const { native, others } = sendersOf(links)
    if (native.length === 0) this.#send(others, own)
    else if (native.length === 1 && others.length === 0) native[0]!.connectOnly(own.queue)
    else this.#merge(to, native, others, options).connectOnly(own.queue)
  }

  /** The output of a native block that takes what `native` and `others` send. */
  #merge(
    to: InputPort<never>,
    native: readonly OutputPort[],
    others: readonly OutputPort[],
    options: FlowLinkOptions,
  ): OutputPort {
    const { name: _, ...link } = options
    const merge = this.#scheduler.add(new Merge<unknown>({ inputs: native.length + Math.min(others.length, 1) }), {
      name: `${to.label}.merge`,
    })
    native.forEach((from, at) => this.#scheduler.link(from, merge.in[at]!, link))
    if (others.length > 0) {
      const own = this.#makeQueue(merge.in[native.length]!, others[0]!, link)
      merge.in[native.length]!.connectOnly(own.queue)
      this.#send(others, own)
    }
    return merge.out
  }

  #makeQueue(to: InputPort<never>, from: OutputPort, options: FlowLinkOptions): OwnQueue {
    const { capacity, overflow, delivery } = options
    const name = this.#queueName(to, options)
    const { codec, id } = typeOf(to, from)
    if (this.#shm.portQueue(name).info !== null) {
      const message = `queue '${name}', for ${from.label} → ${to.label}, exists: a flow of that name runs, or was killed: destroy the queue, or name the flow or the link differently`
      throw misuse(message)
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

  /** The queue that the process of the flow has made. */
  #attach(to: InputPort<never>, from: OutputPort, options: FlowLinkOptions): OwnQueue {
    const name = this.#queueName(to, options)
    const { codec, id } = typeOf(to, from)
    const found = this.#shm.portQueue(name)
    const exists = found.info !== null
    found.detach()
    if (exists) return { queue: this.#shm.portQueue<unknown>(name, { codec, typeId: id }), senders: 0 }
    const message = `queue '${name}', for ${from.label} → ${to.label}, is gone: a block at it has ended before`
    throw new MillraceError('ERR_MILLRACE_NOT_FOUND', message)
  }

  #queueName(to: InputPort<never>, { name }: FlowLinkOptions): string {
    return name ?? queueNameOf(`${this.#name}.${to.label}`)
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
      throw misuse(message)
    }
  }
}

/** What the queue of an input is called, unless the link says: names of blocks are free, and two of them never make one. */
function queueNameOf(label: string): string {
  const name = label.replace(/[^A-Za-z0-9._-]/g, '_')
  if (name === label && name.length <= MAX_NAME_BYTES) return name
  const hash = `-${hashOf(label).toString(16)}`
  return name.slice(0, MAX_NAME_BYTES - hash.length) + hash
}

function isNative({ owner }: InputPort<never> | OutputPort): boolean {
  return owner instanceof NativeBlock
}

/** Where links begin: at native blocks, and at others. */
function sendersOf(links: readonly FlowLink[]): { native: OutputPort[]; others: OutputPort[] } {
  const senders = links.map(({ from }) => from)
  return { native: senders.filter(isNative), others: senders.filter((from) => !isNative(from)) }
}

/** What the messages between two ports are. */
function typeOf(to: InputPort<never>, from: OutputPort) {
  const described = [to, from].find((port) => port instanceof JsInput || port instanceof JsOutput)
  return (described as JsInput<never> | JsOutput<unknown> | undefined)?.type ?? bytes
}
