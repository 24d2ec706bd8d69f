import type { OptionNames } from '../../check.js'
import { checkBoolean, checkFunction, checkInteger, checkOptions, isPromiseLike } from '../../check.js'
import { discard } from '../../memory/discard.js'
import { UNLIMITED } from '../../session/limits.js'
import { Semaphore } from '../../session/semaphore.js'
import type { BlockIo } from './block-io.js'
import { JsBlock } from './js-block.js'
import type { JsInput, JsOutput } from '../block/js-port.js'
import { failureOf, SKIPPED } from './on-error.js'
import type { PortType } from '../block/type.js'
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

const MAP_OPTIONS: OptionNames<MapOptions> = { concurrency: true, ordered: true }
const MAX_CONCURRENCY = 2 ** 20

/** Makes something of each value. See {@link map}. */
export class MapBlock<I, O, IV = I, OV = O> extends JsBlock {
  /** @internal */
  override readonly recovers = true
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
    const { concurrency = 1, ordered = true } = checkOptions(`block "${name}"`, options, MAP_OPTIONS)
    this.#make = checkFunction(`the function of block "${name}"`, make)
    this.#concurrency = checkInteger(`concurrency of block "${name}"`, concurrency, 1, MAX_CONCURRENCY)
    this.#ordered = checkBoolean(`ordered of block "${name}"`, ordered)
    this.in = this.takes('in', from)
    this.out = this.sends('out', to)
  }

  /** @internal */
  async work(io: BlockIo): Promise<void> {
    if (this.#concurrency > 1) return await this.#workConcurrently(io)
    const context = { signal: io.stopping }
    for await (const batch of io.take(this.in)) {
      const results = { list: new Array<unknown>(batch.length), length: 0 }
      const promise = this.#makeSome(batch, results, context)
      if (promise !== undefined || !io.trySend(this.out, withoutSkipped(results.list))) {
        await this.#finish(io, batch, results, promise)
      }
    }
  }

  /** Makes the rest, and sends. What was made before a failure is sent, and what that was made of is done with. */
  async #finish(
    io: BlockIo,
    batch: Values<IV>,
    results: Results,
    promise: PromiseLike<unknown> | undefined,
  ): Promise<void> {
    const progress = { done: 0 }
    const notMade = await failureOf(() => this.#makeAll(io, batch, results, promise))
    const all = results.list.slice(0, results.length)
    const made = withoutSkipped(all)
    const notSent = await failureOf(() => io.deliver(this.out, made, progress))
    const failure = notMade ?? notSent
    if (failure === undefined) return
    batch.release(progress.done === made.length ? all.length : placeOf(progress.done, all))
    throw failure.error
  }

  async #makeAll(
    io: BlockIo,
    batch: Values<IV>,
    results: Results,
    first: PromiseLike<unknown> | undefined,
  ): Promise<void> {
    const context = { signal: io.stopping }
    for (let promise = first; promise !== undefined; promise = this.#makeSome(batch, results, context)) {
      const at = results.length
      const make = () => this.#make(batch.at(at), context)
      let result: unknown
      try {
        result = await promise
      } catch (error) {
        result = await io.recover(error, () => batch.message(at), make)
      }
      results.list[results.length++] = result
      // One call of its work after the other.
      io.counts.switch('busy')
    }
  }

  /** Appends to `results` what is made of each value, as long as that is there at once; returns the promise of the first that is not. */
  #makeSome(batch: Values<IV>, results: Results, context: MapContext): PromiseLike<unknown> | undefined {
    const make = this.#make
    const { list } = results
    try {
      for (; results.length < list.length; results.length++) {
        const result = make(batch.at(results.length), context)
        if (isPromiseLike(result)) return result
        list[results.length] = result
      }
      return undefined
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The same for many at once: each value is held until what was made of it has been sent. */
  async #workConcurrently(io: BlockIo): Promise<void> {
    const taking = io.taking(this.in)
    const slots = new Semaphore(this.#concurrency, `block "${this.name}" did nothing`)
    const failed = new AbortController()
    const pending = new Set<Promise<void>>()
    let before: Promise<void> | undefined
    try {
      for (;;) {
        await slots.enter(UNLIMITED)
        const value = failed.signal.aborted ? null : await taking.one()
        if (value === null) break
        const one = this.#one(io, value, before)
        if (this.#ordered) before = one
        const ended = one
          .catch((error: unknown) => failed.abort(error))
          .finally(() => {
            pending.delete(ended)
            slots.leave()
          })
        pending.add(ended)
      }
    } finally {
      // A stop does not end what is under way.
      await Promise.all(pending)
    }
    if (failed.signal.aborted) throw failed.signal.reason
  }

  /** @param before who must have sent before this one sends */
  async #one(io: BlockIo, value: Values<IV>, before: Promise<void> | undefined): Promise<void> {
    const make = async () => this.#make(value.at(0), { signal: io.stopping })
    const taking = io.taking(this.in)
    const progress = { done: 0 }
    let result: unknown
    try {
      result = await make().catch((error: unknown) => io.recover(error, () => value.message(0), make))
      await before
      if (result === SKIPPED) progress.done = 1
      else await io.deliver(this.out, [result], progress)
    } finally {
      if (progress.done === 1) taking.done(value)
      else {
        taking.leaveRest(value)
        discard(result)
      }
    }
  }
}

/** What has been made of a batch so far: the first `length` of `list`. */
interface Results {
  readonly list: unknown[]
  length: number
}

function withoutSkipped(results: readonly unknown[]): readonly unknown[] {
  return results.includes(SKIPPED) ? results.filter((result) => result !== SKIPPED) : results
}

/** Where in `results` the one is that stands at `index` when those that were skipped are left out. */
function placeOf(index: number, results: readonly unknown[]): number {
  let left = index
  return results.findIndex((result) => result !== SKIPPED && left-- === 0)
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
  const test = checkFunction(`the function of block "${name}"`, keep)
  const make = (value: V, context: MapContext) => {
    const kept = test(value, context)
    if (isPromiseLike(kept)) return kept.then((is) => (is ? value : SKIPPED))
    return kept ? value : SKIPPED
  }
  return new MapBlock(name, type, type, make, options)
}
