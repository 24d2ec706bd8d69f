import type { Block } from '../block/block.js'
import { referenceFault } from '../js/by-reference.js'
import { JsInput, JsOutput } from '../block/js-port.js'
import type { LinkOptions } from '../block/options.js'
import type { InputPort, OutputPort } from '../block/port.js'
import { describe, mismatch } from '../block/type.js'

/** What is linked to what. */
export interface Linked {
  readonly from: OutputPort
  readonly to: InputPort<never>
}

/** A port that is linked to nothing. */
interface Unlinked {
  readonly port: InputPort<never> | OutputPort
  readonly message: string
}

/**
 * Why a link cannot be beside `links`; undefined: it can.
 * @param queue name of a queue that the input is connected to
 */
export function linkFault(
  links: readonly Linked[],
  { from, to, options }: Linked & { readonly options: Pick<LinkOptions, 'delivery'> },
  queue = to.queues[0]?.name,
): string | undefined {
  if (links.some((link) => link.from === from && link.to === to)) {
    return `${from.label} and ${to.label} are linked already`
  }
  if (queue !== undefined) return `${to.label} is connected to queue '${queue}' already`
  if (!(from instanceof JsOutput) || !(to instanceof JsInput)) return referenceFault(from, to, options)
  const differs = mismatch(from.type, to.type)
  if (differs === undefined) return referenceFault(from, to, options)
  return `${from.label} ${differs}, ${to.label} takes ${describe(to.type)}`
}

/** Ports of `block` that are neither linked nor connected to a queue, and what is wrong with that. */
export function unlinkedPorts(block: Block, isLinked: (port: InputPort<never> | OutputPort) => boolean): Unlinked[] {
  const ports = [
    ...block.inputs.map((port) => ['input', port] as const),
    ...block.outputs.map((port) => ['output', port] as const),
  ]
  const unlinked = ports.filter(([, port]) => port.queues.length === 0 && !isLinked(port))
  return unlinked.map(([side, port]) => {
    return { port, message: `${side} '${port.name}' of block '${block.name}' is linked to nothing` }
  })
}
