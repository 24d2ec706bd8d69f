import { MillraceError } from '../../errors.js'
import type { Block } from '../block/block.js'
import { checkOnError, checkReplicas } from '../js/by-reference.js'
import { JsBlock } from '../js/js-block.js'
import type { PlacedBlock } from '../wiring/flow-rules.js'
import { dividedFault, flowFaults } from '../wiring/flow-rules.js'
import { linkFault, unlinkedPorts } from '../wiring/link-rules.js'
import { Places } from '../wiring/places.js'
import type { FlowLinkOptions } from '../block/options.js'
import type { PartitionBy } from '../block/partition.js'
import type { InputPort, OutputPort } from '../block/port.js'
import { blockOfPort } from './block-of-port.js'
import type { Step } from './circles.js'
import { circleFaults } from './circles.js'
import type { BlockData, LinkData } from './data.js'
import type { FlowFault } from './fault.js'
import type { ModuleOptions } from './import-block.js'
import { importFunction } from './import-block.js'
import { processFaults, sizeFaults, threadFaults } from './limits.js'
import { makeBlock } from './make-block.js'
import { structureFaults } from './structure.js'
import type { WellFormed } from './well-formed.js'
import { wellFormed } from './well-formed.js'

/** Where the blocks of a flow as data come from, and where they are to run. */
export interface PlanOptions extends ModuleOptions {
  /** Bytes that buffers of the domain may take, which every message must fit in. Default: what the data says. */
  maxBytes?: number
}

/** A link between two blocks that have been made. */
interface PlannedLink {
  readonly from: OutputPort
  readonly to: InputPort<never>
  readonly options: FlowLinkOptions
}

type Port = InputPort<never> | OutputPort
type Side = 'inputs' | 'outputs'

/** @throws unless the block can do with what it fails with what `onError` says. */
function checkRecovers(block: Block, { name, onError = 'fail' }: BlockData): void {
  const { retries = 0, action = 'fail', deadLetters } = typeof onError === 'string' ? { action: onError } : onError
  if (!(block instanceof JsBlock) || (retries === 0 && action === 'fail' && deadLetters === undefined)) return
  checkOnError(name, block, deadLetters)
}

/** The blocks and links of a flow as data, and all that is wrong with it. */
export class FlowPlan {
  readonly faults: FlowFault[]
  /** As they are in the data; undefined: it could not be made. */
  readonly blocks: (Block | undefined)[] = []
  readonly links: PlannedLink[] = []
  /** What divides messages among the replicas of a block, by its number. */
  readonly keys = new Map<number, PartitionBy<never>>()
  readonly #data: WellFormed
  readonly #steps: Step[] = []
  readonly #places = new Places()
  readonly #placed: PlacedBlock[] = []
  /** Ports that something is linked or connected to. */
  readonly #used = new Set<Port>()

  private constructor(data: unknown) {
    this.faults = structureFaults(data)
    this.#data = wellFormed(data, this.faults)
  }

  /** Makes the blocks, for which it imports modules, and looks at everything. */
  static async of(data: unknown, options: PlanOptions): Promise<FlowPlan> {
    const plan = new FlowPlan(data)
    const { blocks, links, domain } = plan.#data
    for (const [at, block] of blocks.entries()) plan.blocks.push(await plan.#make(block, at, options))
    plan.#checkConnections()
    links.forEach((link, at) => link && plan.#link(link, at))
    plan.#checkLinked()
    plan.#checkTogether()
    plan.faults.push(...circleFaults(plan.#steps), ...processFaults(plan.#data), ...threadFaults(plan.#data))
    plan.faults.push(...sizeFaults(plan.blocks, options.maxBytes ?? domain?.maxBytes))
    return plan
  }

  async #make(data: BlockData, at: number, options: ModuleOptions): Promise<Block | undefined> {
    const { name } = data
    const isWrong = this.faults.some(({ path }) => path[0] === 'blocks' && path[1] === at)
    const isTaken = this.#data.blocks.findIndex((other) => other.name === name) < at
    if (isTaken) this.#found(`two blocks have the name "${name}"`, ['blocks', at, 'name'], name)
    if (isWrong || isTaken) return undefined
    try {
      const { module, partitionBy } = data
      if (module !== undefined && partitionBy !== undefined) {
        this.keys.set(at, (await importFunction(name, module, partitionBy, options)) as PartitionBy<never>)
      }
      const block = await makeBlock(data, options)
      block.rename(name)
      const divided = this.keys.get(at)
      checkRecovers(block, data)
      if (block instanceof JsBlock) checkReplicas(name, block, { ...data, partitionBy: divided })
      this.#placed.push({ block, places: this.#places.add(name, data), isDivided: divided !== undefined })
      return block
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      const message = data.class === undefined ? error.message : `block "${name}": ${error.message}`
      this.#found(message, ['blocks', at], name)
      return undefined
    }
  }

  /** Queues are connected to ports that there are. */
  #checkConnections(): void {
    this.#data.blocks.forEach((data, at) => {
      for (const side of ['inputs', 'outputs'] as const) {
        for (const [port, queue] of Object.entries(data[side] ?? {})) {
          const path = ['blocks', at, side, port]
          const found = this.#port(data.name, side, port, path)
          if (found === undefined || side === 'outputs' || !this.keys.has(at)) continue
          this.#found(dividedFault(found, String(queue)), path, data.name, found.label)
        }
      }
    })
  }

  #link({ from, to, ...options }: LinkData, at: number): void {
    const { length } = this.faults
    const [output, input] = [
      this.#end(from, 'outputs', ['links', at, 'from']),
      this.#end(to, 'inputs', ['links', at, 'to']),
    ]
    if (output === undefined || input === undefined || this.faults.length > length) return
    const step = { at, label: `${from} → ${to}`, from: output.block, to: input.block }
    const isNew = this.#steps.every(({ label }) => label !== step.label)
    if (isNew) this.#steps.push({ ...step, isFeedback: options.feedback === true })
    if (output.port === undefined || input.port === undefined) return
    const link = { from: output.port as OutputPort, to: input.port as InputPort<never>, options }
    const fault = linkFault(this.links, link, this.#dataOf(input.block)?.inputs?.[link.to.name])
    if (fault !== undefined) this.#found(fault, ['links', at], input.block, to)
    this.links.push(link)
  }

  /** What `reference` means. */
  #end(
    reference: string,
    side: Side,
    path: (string | number)[],
  ): { block: string; port: Port | undefined } | undefined {
    const block = blockOfPort(
      reference,
      this.#data.blocks.map(({ name }) => name),
    )
    if (block === undefined) {
      this.#found(`there is no block of port "${reference}", which must be "block.port"`, path, undefined, reference)
      return undefined
    }
    return { block, port: this.#port(block, side, reference.slice(block.length + 1), path) }
  }

  /** A port of a block; undefined: it has none of that name, or could not be made. */
  #port(name: string, side: Side, port: string, path: (string | number)[]): Port | undefined {
    const ports = this.blocks.find((block) => block?.name === name)?.[side]
    const found = ports?.find((one) => one.name === port)
    if (found !== undefined) this.#used.add(found)
    if (ports === undefined || found !== undefined) return found
    const names = ports.map((one) => `"${one.name}"`).join(', ') || 'none'
    this.#found(`block "${name}" has no ${side.slice(0, -1)} "${port}"; it has ${names}`, path, name, `${name}.${port}`)
    return undefined
  }

  /** Ports of blocks that could be made. */
  #checkLinked(): void {
    this.blocks.forEach((block, at) => {
      const unlinked = block === undefined ? [] : unlinkedPorts(block, (port) => this.#used.has(port))
      for (const { port, message } of unlinked) this.#found(message, ['blocks', at], block!.name, port?.label)
    })
  }

  /** What is wrong with blocks and links that could be made. */
  #checkTogether(): void {
    for (const { block, port, message } of flowFaults(this.#data.name, this.#placed, this.links)) {
      this.#found(message, ['blocks', this.blocks.indexOf(block)], block.name, port?.label)
    }
  }

  #dataOf(name: string): BlockData | undefined {
    return this.#data.blocks.find((block) => block.name === name)
  }

  #found(message: string, path: (string | number)[], block?: string, port?: string): void {
    this.faults.push({ message, path, ...(block !== undefined && { block }), ...(port !== undefined && { port }) })
  }
}
