import type { Block } from '../block/block.js'
import { referenceFault } from '../js/by-reference.js'
import { JsInput, JsOutput } from '../block/js-port.js'
import type { FlowLinkOptions } from '../block/options.js'
import type { InputPort, OutputPort } from '../block/port.js'
import { describe, mismatch } from '../block/type.js'
import { show } from '../../errors.js'
import { DEFAULT_CAPACITY } from './flow-queues.js'

/** What is linked to what. */
export interface Linked {
  readonly from: OutputPort
  readonly to: InputPort<never>
}

/** A link, and what its queue is to be. */
interface OptionsOfLink extends Linked {
  readonly options: FlowLinkOptions
}

/** What the options of a queue are that are not given; it has a name of its own. */
const DEFAULTS = {
  capacity: DEFAULT_CAPACITY,
  overflow: 'block',
  delivery: 'at-most-once',
  onPeerLost: 'block',
  name: undefined,
} as const satisfies FlowLinkOptions

/** What is wrong with a block, or one of its ports. */
export interface BlockFault {
  readonly block: Block
  readonly port?: InputPort<never> | OutputPort
  readonly message: string
}

/**
 * Why a link cannot be beside `links`; undefined: it can.
 * @param queue name of a queue that the input is connected to
 */
export function linkFault(
  links: readonly OptionsOfLink[],
  { from, to, options }: OptionsOfLink,
  queue = to.queues[0]?.name,
): string | undefined {
  if (links.some((link) => link.from === from && link.to === to)) {
    return `${from.label} and ${to.label} are linked already`
  }
  if (queue !== undefined) return `${to.label} is connected to queue "${queue}" already`
  const first = links.find((link) => link.to === to)
  const differs = first === undefined ? undefined : differing(options, first.options)
  if (differs !== undefined) {
    const [wanted, had] = [options, first!.options].map((each) => show(each[differs] ?? DEFAULTS[differs]))
    return `${differs} of link ${from.label} → ${to.label} is ${wanted}, and of ${first!.from.label} → ${to.label}, whose queue it shares, ${had}`
  }
  if (!(from instanceof JsOutput) || !(to instanceof JsInput)) return referenceFault(from, to, options)
  const sends = mismatch(from.type, to.type)
  if (sends === undefined) return referenceFault(from, to, options)
  return `${from.label} ${sends}, ${to.label} takes ${describe(to.type)}`
}

/** Ports of `block` that are neither linked nor connected to a queue, and what is wrong with that. */
export function unlinkedPorts(block: Block, isLinked: (port: InputPort<never> | OutputPort) => boolean): BlockFault[] {
  const ports = [
    ...block.inputs.map((port) => ['input', port] as const),
    ...block.outputs.map((port) => ['output', port] as const),
  ]
  const unlinked = ports.filter(([, port]) => port.queues.length === 0 && !isLinked(port))
  return unlinked.map(([side, port]) => {
    return { block, port, message: `${side} "${port.name}" of block "${block.name}" is linked to nothing` }
  })
}

/** An option that is given and differs from that of the link which the queue is made by. */
function differing(options: FlowLinkOptions, first: FlowLinkOptions): keyof typeof DEFAULTS | undefined {
  const names = Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]
  return names.find((name) => options[name] !== undefined && options[name] !== (first[name] ?? DEFAULTS[name]))
}
