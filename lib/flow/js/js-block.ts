import { Block } from '../block/block.js'
import type { BlockIo } from './block-io.js'
import { JsInput, JsOutput } from '../block/js-port.js'
import type { PortType } from '../block/type.js'

/**
 * A block of a flow that runs on the event loop.
 * ```ts
 * class Sum extends JsBlock {
 *   readonly in = this.takes('in', number)
 *   readonly out = this.sends('out', number)
 *   async work(io: BlockIo): Promise<void> {
 *     let sum = 0
 *     for await (const batch of io.take(this.in)) await io.send(this.out, batch.values().map((value) => (sum += value)))
 *   }
 * }
 * ```
 */
export abstract class JsBlock extends Block {
  /** @internal Whether it does with a message that it fails with what `onError` says. */
  readonly recovers: boolean = false

  /**
   * What it does, from its start to its end: it has ended when the promise resolves, and failed when that rejects. To be called by its flow.
   */
  abstract work(io: BlockIo): Promise<void>

  /** Declares an input. To be called by the constructor of a subclass. */
  protected takes<T, V>(name: string, type: PortType<T, V>): JsInput<T, V> {
    return this.addInput(new JsInput<T, V>(this, name, type))
  }

  /** Declares an output. To be called by the constructor of a subclass. */
  protected sends<T, V>(name: string, type: PortType<T, V>): JsOutput<T, V> {
    return this.addOutput(new JsOutput<T, V>(this, name, type))
  }
}
