import type { BufferPtr } from '../memory/buffer-ptr.js'
import type { Batch } from '../queue/batch.js'
import type { TypeInfo } from './type.js'

/** Messages that a block has taken together. They are let go of, and acknowledged, when it takes the next ones, or ends. */
export class Values<V> {
  readonly #batch: Batch
  readonly #type: TypeInfo<V>

  /** @internal */
  constructor(batch: Batch, type: TypeInfo<V>) {
    this.#batch = batch
    this.#type = type
  }

  /** How many there are. */
  get length(): number {
    return this.#batch.length
  }

  /** The value of message `index`, decoded anew at each call. @throws what its codec throws */
  at(index: number): V {
    return this.#type.read(this.#batch, index)
  }

  /** All values. */
  values(): V[] {
    const { length } = this
    const values = new Array<V>(length)
    for (let i = 0; i < length; i++) values[i] = this.at(i)
    return values
  }

  /** Message `index` itself. */
  message(index: number): BufferPtr {
    return this.#batch.at(index)!
  }

  /** @internal Lets go of the first `count`, which are done with. */
  release(count: number): void {
    for (let i = 0; i < count; i++) this.message(i).release()
  }
}
