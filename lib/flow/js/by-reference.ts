// What cannot be done by some blocks, or with values that are handed over by reference.
import { checkFunction } from '../../check.js'
import { misuse } from '../../errors.js'
import type { JsBlock } from './js-block.js'
import { isByReference, WITH_CODEC } from '../block/js-port.js'
import type { FlowBlockOptions, LinkOptions } from '../block/options.js'
import type { InputPort, OutputPort } from '../block/port.js'

/** Why values cannot be handed over by reference there; undefined: they can, or are not. */
export function referenceFault(
  from: OutputPort,
  to: InputPort<never>,
  { delivery }: Pick<LinkOptions, 'delivery'>,
): string | undefined {
  const [one, other] = isByReference(from) ? [from, to] : [to, from]
  if (!isByReference(one)) return undefined
  if (!isByReference(other)) {
    return `${one.label} hands over objects by reference, which ${other.label}, of a native block, cannot have: give both ports ${WITH_CODEC}`
  }
  // Who had them may have changed them.
  if (delivery !== 'at-least-once') return undefined
  return `link ${from.label} → ${to.label} hands over objects by reference and cannot be at-least-once: give both ports ${WITH_CODEC}`
}

/** What is wrong with a link whose ends are in two processes or threads. */
export function betweenProcesses(from: OutputPort, to: InputPort<never>): string {
  return `${from.label} hands over objects by reference, and ${to.label} is in another process: give both ports ${WITH_CODEC}, or put both blocks into one process`
}

/** @throws unless block `name` can have replicas as the options say. */
export function checkReplicas(
  name: string,
  { inputs }: JsBlock,
  { replicas, partitionBy }: Pick<FlowBlockOptions, 'replicas' | 'partitionBy'>,
): void {
  if (partitionBy !== undefined) checkFunction(`partitionBy of block "${name}"`, partitionBy)
  if (partitionBy !== undefined && replicas === undefined) {
    throw misuse(`partitionBy of block "${name}" divides messages among its replicas: give it "replicas", too`)
  }
  if (replicas !== undefined && inputs.length === 0) {
    throw misuse(`block "${name}" has no inputs: its replicas would all send the same`)
  }
}

/** @throws unless block `name` can do with what it fails with what `onError` says. */
export function checkOnError(name: string, block: JsBlock, deadLetters: string | undefined): void {
  if (!block.recovers) {
    const message = `onError of block "${name}" is for map, filter and sink: this one, of class ${block.constructor.name}, fails as a whole, so it has to catch errors in its work()`
    throw misuse(message)
  }
  const input = deadLetters === undefined ? undefined : block.inputs.find(isByReference)
  if (input === undefined) return
  const message = `onError of block "${name}" cannot move objects that "${input.name}" takes by reference to queue "${deadLetters}": give the port ${WITH_CODEC}, or skip them`
  throw misuse(message)
}
