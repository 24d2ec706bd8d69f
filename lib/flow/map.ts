import { checkBoolean, checkFunction, checkInteger, checkObject, isPromiseLike } from '../check.js'
import type { BufferPtr } from '../memory/buffer-ptr.js'
import { putBack } from '../memory/discard.js'
import { UNLIMITED } from '../session/limits.js'
import { Semaphore } from '../session/semaphore.js'
import type { BlockIo } from './block-io.js'
import { JsBlock } from './js-block.js'
import type { JsInput, JsOutput } from './js-port.js'
import { SKIPPED } from './on-error.js'
import type { PortType } from './type.js'
import type { Values } from './values.js'

/** What a function of a block gets beside the value. */
export interface MapContext {
  /** Aborts when the flow is stopped. */
  readonly signal: AbortSignal
}

/** Options of {@link map} and {@link filter}. */
export interface MapOptions {
  /** How many values are worked on at once, if the function returns promises. Default: 1. */
  concurrency?: number
  /** With `concurrency`: whether what comes out keeps the order of what went in. Default: true. */
  ordered?: boolean
}

const MAX_CONCURRENCY = 2 ** 20

/** Makes something of each value. See {@link map}. */
export class MapBlock<I, O, IV = I, OV = O> extends JsBlock {
  /** Input `in`. */
  readonly in: JsInput<I, IV>
  /** Output `out`. */
  readonly out: JsOutput<O, OV>
  readonly #make: (value: IV, context: MapContext) => unknown
  readonly #concurrency: number
  readonly #ordered: boolean

  /** @internal `make` may return {@link SKIPPED}. */
  constructor(
    name: string,
    from: PortType<I, IV>,
    to: PortType<O, OV>,
    make: (value: IV, context: MapContext) => unknown,
    options: MapOptions,
  ) {
    super(name)
    const { concurrency = 1, ordered = true } = checkObject(`options of block '${name}'`, options)
    this.#make = checkFunction(`the function of block '${name}'`, make)
    this.#concurrency = checkInteger(`concurrency of block '${name}'`, concurrency, 1, MAX_CONCURRENCY)
    this.#ordered = checkBoolean(`ordered of block '${name}'`, ordered)
    this.in = this.takes('in', from)
    this.out = this.sends('out', to)
  }

  /** @internal */
  async work(io: BlockIo): Promise<void> {
    if (this.#concurrency > 1) return await this.#workConcurrently(io)
    for await (const batch of io.take(this.in)) await this.#batch(io, batch)
  }

  async #batch(io: BlockIo, batch: Values<IV>): Promise<void> {
    const made: OV[] = []
    const context = { signal: io.stopping }
    for (let i = 0; i < batch.length; i++) {
      const make = () => this.#make(batch.at(i), context)
      let result: unknown
      try {
        result = make()
        if (isPromiseLike(result)) result = await result
      } catch (error) {
        result = await this.#recover(io, error, batch, i, made, make)
      }
      if (result !== SKIPPED) made.push(result as OV)
    }
    await io.send(this.out, made)
  }

  /** As {@link BlockIo.recover}; if the block fails, what was made of the values before this one is sent, and those are done with. */
  async #recover(
    io: BlockIo,
    error: unknown,
    batch: Values<IV>,
    at: number,
    made: OV[],
    make: () => unknown,
  ): Promise<unknown> {
    try {
      return await io.recover(error, () => batch.message(at), make)
    } catch (failure) {
      await io.send(this.out, made)
      batch.release(at)
      throw failure
    }
  }

  /** The same for many at once: each message is held until what was made of it has been sent. */
  async #workConcurrently(io: BlockIo): Promise<void> {
    const slots = new Semaphore(this.#concurrency, `block '${this.name}' did nothing`)
    const failed = new AbortController()
    const pending = new Set<Promise<void>>()
    let before: Promise<void> | undefined
    for (;;) {
      await slots.enter(UNLIMITED)
      const message = failed.signal.aborted ? null : await io.next(this.in)
      if (message === null) break
      const one = this.#one(io, message, before)
      if (this.#ordered) before = one
      const ended = one
        .catch((error: unknown) => failed.abort(error))
        .finally(() => {
          pending.delete(ended)
          slots.leave()
        })
      pending.add(ended)
    }
    await Promise.all(pending)
    if (failed.signal.aborted) throw failed.signal.reason
  }

  /** @param before who must have sent before this one sends */
  async #one(io: BlockIo, message: BufferPtr, before: Promise<void> | undefined): Promise<void> {
    const make = async () => this.#make(this.in.type.readOne(message), { signal: io.stopping })
    try {
      const result = await make().catch((error: unknown) => io.recover(error, () => message, make))
      await before
      if (result !== SKIPPED) await io.send(this.out, [result as NoInfer<OV>])
    } catch (error) {
      putBack(message)
      throw error
    }
    io.done(message)
  }
}

/**
 * A block that sends what `make` makes of each value it takes; a promise is awaited. Input `in`, output `out`.
 * @param name its name, unless `add` says another one
 */
export function map<I, O, IV = I, OV = O>(
  name: string,
  from: PortType<I, IV>,
  to: PortType<O, OV>,
  make: (value: IV, context: MapContext) => OV | PromiseLike<OV>,
  options: MapOptions = {},
): MapBlock<I, O, IV, OV> {
  return new MapBlock(name, from, to, make, options)
}

/** A block that sends those of the values it takes of which `keep` is true. Input `in`, output `out`. */
export function filter<T, V = T>(
  name: string,
  type: PortType<T, V>,
  keep: (value: V, context: MapContext) => boolean | PromiseLike<boolean>,
  options: MapOptions = {},
): MapBlock<T, T, V, V> {
  const test = checkFunction(`the function of block '${name}'`, keep)
  const make = (value: V, context: MapContext) => {
    const kept = test(value, context)
    if (isPromiseLike(kept)) return kept.then((is) => (is ? value : SKIPPED))
    return kept ? value : SKIPPED
  }
  return new MapBlock(name, type, type, make, options)
}
