import { MillraceError } from '../../errors.js'
import type { Crossing } from './crossing.js'
import { FlowQueues } from './flow-queues.js'
import type { JsInput, JsOutput } from '../block/js-port.js'
import type { Wiring } from '../js/lane.js'
import { Lane } from '../js/lane.js'
import { LogsBlock } from '../js/logs.js'
import type { OwnLink } from '../js/link-stats.js'
import type { AddedBlock, AddedJsBlock, WiringHost } from './links.js'
import { FlowLinks } from './links.js'
import type { FlowLinkOptions } from '../block/options.js'
import type { QueueEnd, Route } from '../js/own-queue.js'
import type { InputPort, OuterQueue, OutputPort } from '../block/port.js'
import { describe } from '../block/type.js'

/** A link of a flow. */
export interface FlowLink {
  readonly from: OutputPort
  readonly to: InputPort<never>
  readonly options: FlowLinkOptions
}

/** What the links of a flow have come to. */
export interface Wired {
  readonly lanes: readonly Lane[]
  readonly queues: FlowQueues
  readonly hasNative: boolean
  /** Links that are queues of the flow. */
  readonly links: readonly OwnLink[]
  /** Queues between blocks of different processes. */
  readonly crossings: readonly Crossing[]
  /** Blocks that send what its other processes print. */
  readonly logs: readonly LogsBlock[]
}

/** Makes the queues of a flow. When it throws, those that have been made are gone again. */
export function wire(name: string, host: WiringHost, blocks: readonly AddedBlock[], links: readonly FlowLink[]): Wired {
  const queues = new FlowQueues(name, host.shm)
  try {
    const wiring = new FlowWiring(host, new FlowLinks(host, queues, blocks))
    const wired = wiring.wire(blocks, links)
    const hasNative = blocks.some(({ native, places }) => native && host.isHere(places[0]))
    const logs = blocks.flatMap(({ block }) => (block instanceof LogsBlock ? [block] : []))
    return { ...wired, queues, hasNative, logs }
  } catch (error) {
    queues.abandon()
    throw error
  }
}

class FlowWiring {
  readonly #host: WiringHost
  readonly #links: FlowLinks

  constructor(host: WiringHost, links: FlowLinks) {
    this.#host = host
    this.#links = links
  }

  wire(blocks: readonly AddedBlock[], links: readonly FlowLink[]): Pick<Wired, 'lanes' | 'links' | 'crossings'> {
    for (const to of new Set(links.map((link) => link.to))) {
      const all = links.filter((link) => link.to === to)
      const from = all.map((link) => link.from)
      this.#links.add(to, from, all[0]!.options)
    }
    const { relays, own, crossings } = this.#links
    const lanes = blocks.flatMap((added) => (added.native ? [] : this.#lanesOf(added)))
    return { lanes: [...lanes, ...relays], links: own, crossings }
  }

  #lanesOf(added: AddedJsBlock): Lane[] {
    const { block, names, places } = added
    const here = [...places.entries()].filter(([, place]) => this.#host.isHere(place))
    return here.map(([at]) => new Lane(block, names[at]!, this.#wiringOf(added, at)))
  }

  #wiringOf({ block, deadLetters, retries, backoffMs, skips, batch }: AddedJsBlock, at: number): Wiring {
    const inputs = new Map<JsInput<never>, QueueEnd>()
    for (const port of block.inputs as readonly JsInput<never>[]) {
      inputs.set(port, this.#links.inputOf(port, at) ?? this.#outer(port, port.queues[0]!, true))
    }
    const outputs = new Map<JsOutput<unknown>, readonly Route[]>()
    for (const port of block.outputs as readonly JsOutput<unknown>[]) {
      outputs.set(port, [
        ...this.#links.routesOf(port),
        ...port.queues.map((queue) => ({ ends: [this.#outer(port, queue, false)] })),
      ])
    }
    const letters = deadLetters === undefined ? undefined : this.#host.shm.portQueue<unknown>(deadLetters)
    return { inputs, outputs, batch, onError: { retries, backoffMs, skips, deadLetters: letters } }
  }

  /** A queue of others, as we use it. It is compared with what the port takes or sends, if it exists; if not, who receives makes it. */
  #outer(port: JsInput<never> | JsOutput<unknown>, { name }: OuterQueue, receives: boolean): QueueEnd {
    const { encoding, id } = port.type
    const queue = this.#host.shm.portQueue<unknown>(name)
    const { info } = queue
    if (info === null && receives) {
      const codec = encoding?.codec
      return {
        queue: this.#host.shm.portQueue<unknown>(name, { codec, ...(id !== 0 && { typeId: id }) }),
        own: undefined,
      }
    }
    const sameId = id === info?.typeId || id === 0 || info?.typeId === 0
    if (info === null || (sameId && info.codec === encoding?.codec.name)) return { queue, own: undefined }
    const message = `${port.label} is of type ${describe(port.type)}, id ${id}, queue "${name}" has codec "${info.codec}" and id ${info.typeId}`
    throw new MillraceError('ERR_MILLRACE_OPTIONS_MISMATCH', message)
  }
}
