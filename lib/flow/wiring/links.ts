import { BufferPtr } from '../../memory/buffer-ptr.js'
import { BATCH_MAX } from '../../native/generated/block.js'
import type { ShmManager } from '../../domain/manager.js'
import { Crossing } from './crossing.js'
import type { FlowQueues, QueuePurpose } from './flow-queues.js'
import { Merge } from '../generated/blocks.js'
import type { JsBlock } from '../js/js-block.js'
import type { JsInput } from '../block/js-port.js'
import { isByReference } from '../block/js-port.js'
import { Lane } from '../js/lane.js'
import type { OwnLink } from '../js/link-stats.js'
import { map } from '../js/map.js'
import { NativeBlock } from '../native/native-block.js'
import type { OnError } from '../js/on-error.js'
import type { FlowBlockOptions, FlowLinkOptions } from '../block/options.js'
import type { Route, Side } from '../js/own-queue.js'
import { OwnQueue } from '../js/own-queue.js'
import type { PartitionBy } from '../block/partition.js'
import { partitionOf } from '../block/partition.js'
import type { Place } from './places.js'
import type { InputPort, OutputPort } from '../block/port.js'
import type { Scheduler } from '../native/scheduler.js'
import { buffers } from '../block/type.js'

/** A block of JavaScript of a flow. */
export interface AddedJsBlock extends Omit<OnError, 'deadLetters'> {
  readonly block: JsBlock
  readonly native: false
  /** Where its replicas run. */
  readonly places: readonly Place[]
  /** Its name, or those of its replicas, as statistics and errors say them. */
  readonly names: readonly string[]
  /** As it was added with. */
  readonly options: FlowBlockOptions
  readonly partitionBy: PartitionBy<never> | undefined
  readonly batch: number
  readonly deadLetters: string | undefined
}

/** A block of a flow. */
export type AddedBlock =
  | {
      readonly block: NativeBlock
      readonly native: true
      readonly names: readonly [string]
      readonly places: readonly [Place]
      readonly options: FlowBlockOptions
    }
  | AddedJsBlock

/** Where a flow is wired. */
export interface WiringHost {
  readonly shm: ShmManager
  readonly scheduler: Scheduler
  /** This process. */
  readonly place: Place
  /** Whether `place` is this process. */
  readonly isHere: (place: Place) => boolean
  /** Tells the process of the flow what becomes of a queue here. */
  readonly tellOfQueue: (queue: string, event: 'made' | Side) => void
}

/** The links of a flow, as far as its blocks in this process are at them. */
export class FlowLinks {
  /** Queues between blocks of different processes. */
  readonly crossings: Crossing[] = []
  /** Links that are queues of the flow. */
  readonly own: OwnLink[] = []
  /** Blocks that links need. */
  readonly relays: Lane[] = []
  readonly #host: WiringHost
  readonly #queues: FlowQueues
  readonly #blocks: ReadonlyMap<unknown, AddedBlock>
  /** One for each replica of the block, or one that they share. */
  readonly #inputs = new Map<InputPort<never>, readonly (OwnQueue | undefined)[]>()
  readonly #outputs = new Map<OutputPort, readonly Route[]>()

  constructor(host: WiringHost, queues: FlowQueues, blocks: readonly AddedBlock[]) {
    this.#host = host
    this.#queues = queues
    this.#blocks = new Map(blocks.map((added) => [added.block, added]))
  }

  /** What the links to an input of a block have come to for replica `at` of that; undefined: there are none. */
  inputOf(port: InputPort<never>, at: number): OwnQueue | undefined {
    return this.#inputs.get(port)?.[at]
  }

  /** What the links of an output have come to. */
  routesOf(port: OutputPort): readonly Route[] {
    return this.#outputs.get(port) ?? []
  }

  /** All links to one input. Native blocks of one process link among themselves; everything else meets at a queue. */
  add(to: InputPort<never>, from: readonly OutputPort[], options: FlowLinkOptions): void {
    const [receivers, senders] = [this.#placesOf(to), [...new Set(from.flatMap((port) => this.#placesOf(port)))]]
    const all = new Set([...receivers, ...senders])
    // Links of the scheduler of a process that may be restarted die with it, which nothing must that is delivered again.
    const isNativeLink = all.has(undefined)
      ? isNative(to) && from.some(isNative)
      : [to, ...from].every(isNative) && options.delivery !== 'at-least-once'
    if (all.size === 1 && isNativeLink) {
      if (this.#host.isHere(receivers[0])) this.#linkNative(to as InputPort, from, options)
      return
    }
    const purpose = { to, from: from[0]!, options }
    const partitionBy = this.#partitionBy(to)
    const queues =
      partitionBy === undefined
        ? [this.#queue(purpose, receivers, senders)]
        : receivers.map((place, at) => this.#queue({ ...purpose, part: `${at}` }, [place], senders))
    const froms = from.map(({ label }) => label)
    for (const own of queues) if (own !== undefined) this.own.push({ from: froms, to: to.label, own })
    this.#receive(to, receivers, queues)
    const here = from.filter((port) => this.#countHere(port) > 0)
    if (here.length === 0) return
    // Who sends is at all of them.
    const route: Route = {
      ends: queues as OwnQueue[],
      ...(partitionBy && { choose: chooser(to, partitionBy, queues) }),
    }
    this.#send(to, here, options, route, senders.length > 1)
  }

  /** To a native block of this process, where all of `from` are, too. */
  #linkNative(to: InputPort, from: readonly OutputPort[], options: FlowLinkOptions): void {
    const isMixed = !from.every(isNative)
    for (const port of isMixed ? [this.#merge(to, from, options)] : from) this.#host.scheduler.link(port, to, options)
  }

  /** The queue as it is used here; undefined: no block here is at it. The process of the flow makes it, so it outlives the others. */
  #queue(purpose: QueuePurpose, receivers: readonly Place[], senders: readonly Place[]): OwnQueue | undefined {
    const { isHere, tellOfQueue } = this.#host
    const all = { senders, receivers: [...new Set(receivers)] }
    const places = [...senders, ...receivers]
    // Both ends are on one event loop.
    if (isByReference(purpose.to))
      return isHere(places[0]) ? new OwnQueue(this.#queues.makeForObjects(purpose)) : undefined
    const isMaker = isHere(undefined)
    if (!isMaker && !places.some(isHere)) return undefined
    const queue = isMaker ? this.#queues.make(purpose) : this.#queues.attach(purpose)
    if (places.every((place) => place === undefined)) return new OwnQueue(queue)
    const { to, from, options } = purpose
    const label = `${from.label} → ${to.label}`
    const crossing = isMaker ? new Crossing(queue, label, options.onPeerLost ?? 'block', all) : undefined
    if (crossing !== undefined) this.crossings.push(crossing)
    const tell = (side: Side) => () =>
      crossing === undefined ? tellOfQueue(queue.name, side) : crossing.left(side, undefined)
    return new OwnQueue(queue, {
      ...(all.senders.length > 1 && { senders: tell('senders') }),
      ...(all.receivers.length > 1 && { receivers: tell('receivers') }),
    })
  }

  #receive(to: InputPort<never>, receivers: readonly Place[], queues: readonly (OwnQueue | undefined)[]): void {
    const own = receivers.map((_, at) => queues[Math.min(at, queues.length - 1)])
    this.#inputs.set(to, own)
    for (const [at, place] of receivers.entries()) {
      if (!this.#host.isHere(place)) continue
      if (isNative(to)) to.connectOnly(own[at]!.queue)
      else own[at]!.enter('receivers', 1)
    }
  }

  /**
   * A native block closes the queue behind it, which has one kind of sender, all of them here. So where others send, too, a `Merge` is put
   * before it; and where that does not help a block of JavaScript, which sends what comes to where it is to go.
   */
  #send(
    to: InputPort<never>,
    from: readonly OutputPort[],
    options: FlowLinkOptions,
    route: Route,
    isShared: boolean,
  ): void {
    const native = from.filter(isNative)
    if (native.length === 0) return this.#sendFrom(from, route)
    if (!isShared && route.choose === undefined) {
      const only = from.length === 1 ? native[0]! : this.#merge(to, from, options)
      return only.connectOnly(route.ends[0]!.queue)
    }
    const only = native.length === 1 ? native[0]! : this.#merge(to, native, options)
    this.#relay(to, only, options, route)
    this.#sendFrom(
      from.filter((port) => !isNative(port)),
      route,
    )
  }

  /** The output of a native block that takes what `from` send. */
  #merge(to: InputPort<never>, from: readonly OutputPort[], options: FlowLinkOptions): OutputPort {
    const { name: _, ...link } = options
    const [native, others] = [from.filter(isNative), from.filter((port) => !isNative(port))]
    const merge = this.#host.scheduler.add(new Merge<unknown>({ inputs: native.length + Math.min(others.length, 1) }), {
      name: `${to.label}.merge`,
    })
    native.forEach((port, at) => this.#host.scheduler.link(port, merge.in[at]!, link))
    if (others.length > 0) {
      const input = merge.in[native.length]!
      const own = this.#localQueue({ to: input, from: others[0]!, options: link })
      input.connectOnly(own.queue)
      this.#sendFrom(others, { ends: [own] })
    }
    return merge.out
  }

  /** Sends what a native block does by `route`, without a copy. */
  #relay(to: InputPort<never>, from: OutputPort, options: FlowLinkOptions, route: Route): void {
    const { name: _, ...link } = options
    const relay = map(`${to.label}.relay`, buffers, buffers, (message) => message)
    const own = this.#localQueue({ to: relay.in, from, options: link })
    own.enter('receivers', 1)
    from.connectOnly(own.queue)
    for (const { own: end } of route.ends) end!.enter('senders', 1)
    const onError = { retries: 0, backoffMs: 0, skips: false, deadLetters: undefined }
    const [inputs, outputs] = [new Map([[relay.in, own]]), new Map([[relay.out, [route]]])]
    this.relays.push(new Lane(relay, relay.name, { inputs, outputs, onError, batch: BATCH_MAX }))
  }

  /** A queue whose ends are both in this process, of one that has such a queue each. */
  #localQueue(purpose: QueuePurpose): OwnQueue {
    const { place, tellOfQueue } = this.#host
    if (place === undefined) return new OwnQueue(this.#queues.make(purpose))
    const queue = this.#queues.make({ ...purpose, part: place })
    // Should this process be killed, the queue outlives it.
    tellOfQueue(queue.name, 'made')
    return new OwnQueue(queue)
  }

  #sendFrom(from: readonly OutputPort[], route: Route): void {
    for (const port of from) {
      for (const { own } of route.ends) own!.enter('senders', this.#countHere(port))
      this.#outputs.set(port, [...this.routesOf(port), route])
    }
  }

  #placesOf({ owner }: InputPort<never> | OutputPort): readonly Place[] {
    return this.#blocks.get(owner)!.places
  }

  /** How many replicas of the block of a port are here. */
  #countHere(port: OutputPort): number {
    return this.#placesOf(port).filter((place) => this.#host.isHere(place)).length
  }

  #partitionBy({ owner }: InputPort<never>): PartitionBy<never> | undefined {
    const added = this.#blocks.get(owner)!
    return added.native ? undefined : added.partitionBy
  }
}

function isNative({ owner }: InputPort<never> | OutputPort): boolean {
  return owner instanceof NativeBlock
}

/** Which of `queues`, one for each replica, gets a message. */
function chooser(to: InputPort<never>, partitionBy: PartitionBy<never>, { length }: readonly unknown[]) {
  const { encoding } = (to as JsInput<never>).type
  const carried = (sent: unknown) => (sent instanceof BufferPtr && encoding ? encoding.codec.decode(sent.bytes) : sent)
  const what = `partitionBy of block "${to.owner.name}"`
  return (sent: unknown) => partitionOf(what, partitionBy(carried(sent) as never, to.name), length)
}
