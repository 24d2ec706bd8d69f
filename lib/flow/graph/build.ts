import type { ShmManager } from '../../domain/manager.js'
import type { Block } from '../block/block.js'
import type { ChildOptions } from '../process/child-options.js'
import type { FlowBlockOptions, FlowLinkOptions } from '../block/options.js'
import type { PartitionBy } from '../block/partition.js'
import type { InputPort, OutputPort } from '../block/port.js'
import type { BlockData, ProcessData } from './data.js'
import { defined } from './defined.js'
import { moduleUrl } from './import-block.js'
import type { SoundFlow } from './validate.js'

/** What blocks are added to. */
interface Builder {
  add(block: Block, options: FlowBlockOptions): unknown
  link(from: OutputPort, to: InputPort<never>, options: FlowLinkOptions): unknown
}

/** Adds what data stands for to an empty flow of the domain of `shm`. */
export function buildFlow(flow: Builder, shm: ShmManager, { data, plan }: SoundFlow): void {
  data.blocks.forEach((described, at) => {
    const block = plan.blocks[at]!
    flow.add(block, blockOptions(described, shm, plan.keys.get(at)))
    const { inputs = {}, outputs = {} } = described
    for (const port of block.inputs)
      if (Object.hasOwn(inputs, port.name)) port.connect(shm.portQueue(inputs[port.name]!))
    for (const port of block.outputs) {
      const queues = Object.hasOwn(outputs, port.name) ? outputs[port.name]! : []
      for (const queue of queues) port.connect(shm.portQueue(queue))
    }
  })
  for (const { from, to, options } of plan.links) flow.link(from, to, options)
}

/** Options of processes as a start takes them. */
export function processOptions(
  processes: Readonly<Record<string, ProcessData>>,
  base: string | URL | undefined,
): Record<string, Partial<ChildOptions>> {
  const options = Object.entries(processes).map(([name, { module, window, ...rest }]) => [
    name,
    defined<Partial<ChildOptions>>({
      ...rest,
      module: module === undefined ? undefined : new URL(moduleUrl(module, base)),
      window: window === null ? Infinity : window,
    }),
  ])
  return Object.fromEntries(options) as Record<string, Partial<ChildOptions>>
}

function blockOptions(
  block: BlockData,
  shm: ShmManager,
  partitionBy: PartitionBy<never> | undefined,
): FlowBlockOptions {
  const { class: _c, module: _m, export: _e, closure: _k, settings: _s, inputs: _i, outputs: _o, ...rest } = block
  const { onError, partitionBy: _p, ...options } = rest
  const { deadLetters, ...retries } = typeof onError === 'object' ? onError : {}
  const letters = deadLetters === undefined ? {} : { deadLetters: shm.portQueue(deadLetters) }
  return defined<FlowBlockOptions>({
    ...options,
    partitionBy,
    onError: typeof onError === 'object' ? { ...retries, ...letters } : onError,
  })
}
