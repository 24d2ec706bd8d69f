import { fileURLToPath } from 'node:url'
import type { Block } from '../block/block.js'
import type { ChildOptions } from '../process/child-options.js'
import { NativeBlock } from '../native/native-block.js'
import type { FlowBlockOptions, FlowLinkOptions, SchedulerOptions } from '../block/options.js'
import type { InputPort, OutputPort } from '../block/port.js'
import type { BlockData, LinkData, OnErrorData, ProcessData } from './data.js'
import { defined } from './defined.js'
import { exportNameOf, moduleOf } from './import-block.js'

/** A block as data. */
export function describeBlock(block: Block, { onError, partitionBy, ...options }: FlowBlockOptions): BlockData {
  const key = partitionBy && exportNameOf(partitionBy)
  return defined({
    name: block.name,
    ...(partitionBy !== undefined && key === undefined ? closureOf(block) : makerOf(block)),
    ...options,
    partitionBy: key,
    onError: describeOnError(onError),
    inputs: queuesOf(block.inputs, ([name]) => name!),
    outputs: queuesOf(block.outputs, (names) => names),
  })
}

/** A link as data. */
export function describeLink(from: OutputPort, to: InputPort<never>, options: FlowLinkOptions): LinkData {
  return defined({ from: from.label, to: to.label, ...options })
}

/** Options of a scheduler as data. A timeout that never ends is the default. */
export function describeScheduler({ stallTimeout, ...options }: SchedulerOptions): SchedulerOptions {
  return stallTimeout === undefined || stallTimeout === Infinity ? options : { ...options, stallTimeout }
}

/** Options of a process as data. Timeouts that never end are the defaults. */
export function describeProcess({ module, env, window, ...options }: Partial<ChildOptions>): ProcessData {
  const entries = Object.entries(options).filter(([, value]) => value !== Infinity)
  return defined({
    ...Object.fromEntries(entries),
    module: module instanceof URL ? fileURLToPath(module) : module,
    env: env && (defined(env) as Record<string, string>),
    window: window === Infinity ? null : window,
  })
}

/** What a block is made by. */
function makerOf(block: Block): Pick<BlockData, 'class' | 'module' | 'export' | 'closure' | 'settings'> {
  if (block instanceof NativeBlock) return { class: block.kind, settings: unlessEmpty(block.settings) }
  return moduleOf(block) ?? closureOf(block)
}

function closureOf(block: Block): Pick<BlockData, 'closure'> {
  return { closure: block.constructor.name }
}

function describeOnError(onError: FlowBlockOptions['onError']): BlockData['onError'] {
  if (typeof onError !== 'object') return onError
  return defined<OnErrorData>({ ...onError, deadLetters: onError.deadLetters?.name })
}

/** Queues outside of the flow that ports are connected to. */
function queuesOf<Q>(
  ports: readonly (InputPort<never> | OutputPort)[],
  show: (names: string[]) => Q,
): Record<string, Q> | undefined {
  const outer = ports.map(({ name, queues }) => [name, queues.filter(({ only }) => only !== true)] as const)
  const connected = outer.filter(([, queues]) => queues.length > 0)
  return unlessEmpty(Object.fromEntries(connected.map(([name, queues]) => [name, show(queues.map((one) => one.name))])))
}

function unlessEmpty<T extends object>(data: T): T | undefined {
  return Object.keys(data).length === 0 ? undefined : data
}
