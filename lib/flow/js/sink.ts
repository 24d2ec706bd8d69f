import { checkFunction } from '../../check.js'
import type { BlockIo } from './block-io.js'
import { JsBlock } from './js-block.js'
import type { JsInput } from '../block/js-port.js'
import type { MapContext } from './map.js'
import type { PortType } from '../block/type.js'
import type { Values } from './values.js'

/** What a sink does with a batch. */
export type Use<V> = (batch: V[], context: MapContext) => void | PromiseLike<void>

/** Takes values, batch by batch. See {@link sink}. */
export class SinkBlock<T, V = T> extends JsBlock {
  /** @internal */
  override readonly recovers = true
  /** Input `in`. */
  readonly in: JsInput<T, V>
  readonly #use: Use<V>

  /** @internal */
  constructor(name: string, type: PortType<T, V>, use: Use<V>) {
    super(name)
    this.#use = checkFunction(`the function of block "${name}"`, use)
    this.in = this.takes('in', type)
  }

  /** @internal */
  async work(io: BlockIo): Promise<void> {
    for await (const batch of io.take(this.in)) {
      try {
        await this.#use(batch.values(), { signal: io.stopping })
      } catch (error) {
        await this.#each(io, batch, error)
      }
    }
  }

  /** One of a batch is to blame: it is found by taking one at a time. */
  async #each(io: BlockIo, batch: Values<V>, failure: unknown): Promise<void> {
    if (!io.recovers) throw failure
    for (let i = 0; i < batch.length; i++) {
      const use = async () => this.#use([batch.at(i)], { signal: io.stopping })
      try {
        await (batch.length === 1 ? Promise.reject(failure) : use())
      } catch (error) {
        await io.recover(error, () => batch.message(i), use)
      }
      batch.release(i + 1)
    }
  }
}

/**
 * A block that hands what it takes to `use`, in batches; they are acknowledged when that has returned, or its promise has settled. Input `in`.
 * With {@link OnErrorOptions} a batch that `use` fails with is handed to it again, one by one.
 * @param name its name, unless `add` says another one
 */
export function sink<T, V = T>(name: string, type: PortType<T, V>, use: Use<V>): SinkBlock<T, V> {
  return new SinkBlock(name, type, use)
}
