import { misuse } from '../../errors.js'
import type { BufferPtr } from '../../memory/buffer-ptr.js'
import type { Batch } from '../../queue/batch.js'
import type { Encoding } from '../block/type.js'

/** Values that a block has taken together. They are let go of, and acknowledged, when it takes the next ones, or ends. */
export abstract class Values<V> {
  /** How many there are. */
  abstract readonly length: number
  /** @internal Messages that were dropped before the first. */
  abstract readonly gap: number

  /** Value `index`, decoded anew at each call. @throws what its codec throws */
  abstract at(index: number): V

  /** All values. */
  values(): V[] {
    const { length } = this
    const values = new Array<V>(length)
    for (let i = 0; i < length; i++) values[i] = this.at(i)
    return values
  }

  /**
   * The message of value `index`.
   * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT` for values that are handed over by reference: there is none
   */
  abstract message(index: number): BufferPtr

  /** @internal Lets go of the first `count`, which are done with; left out: of all. */
  abstract release(count?: number): void

  /** @internal What is not done with goes back to where it came from, if that takes it. Returns how much that is. */
  abstract giveBack(): number
}

/** @internal Those of messages. */
export class MessageValues<V> extends Values<V> {
  readonly length: number
  readonly #batch: Batch
  readonly #encoding: Encoding<V>
  #done = 0

  constructor(batch: Batch, encoding: Encoding<V>) {
    super()
    this.length = batch.length
    this.#batch = batch
    this.#encoding = encoding
  }

  get gap(): number {
    return this.#batch.gap
  }

  at(index: number): V {
    return this.#encoding.read(this.#batch, index)
  }

  message(index: number): BufferPtr {
    return this.#batch.at(index)!
  }

  release(count?: number): void {
    if (count === undefined) return this.#batch.release()
    while (this.#done < count) this.message(this.#done++).release()
  }

  giveBack(): number {
    let left = 0
    for (let i = this.#done; i < this.length; i++) {
      const message = this.message(i)
      if (message.released) continue
      left++
      message.nack()
    }
    return left
  }
}

/** @internal Those that are handed over by reference. */
export class ObjectValues<V> extends Values<V> {
  readonly gap: number
  readonly #values: readonly V[]
  #done = 0

  constructor(values: readonly V[], gap: number) {
    super()
    this.gap = gap
    this.#values = values
  }

  get length(): number {
    return this.#values.length
  }

  at(index: number): V {
    return this.#values[index]!
  }

  override values(): V[] {
    return this.#values.slice()
  }

  message(): BufferPtr {
    throw misuse('values that are handed over by reference have no message')
  }

  release(count = this.length): void {
    this.#done = Math.max(this.#done, count)
  }

  giveBack(): number {
    return this.length - this.#done
  }
}
