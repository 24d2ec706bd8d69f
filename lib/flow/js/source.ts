import { setImmediate } from 'node:timers'
import type { OptionNames } from '../../check.js'
import { checkFunction, checkOptions, isPromiseLike } from '../../check.js'
import { invalidArgument } from '../../errors.js'
import { BATCH_MAX } from '../../native/generated/block.js'
import { onAbort } from '../../session/cancel.js'
import { TimeSlice } from '../../session/time-slice.js'
import type { BlockIo } from './block-io.js'
import { JsBlock } from './js-block.js'
import type { JsOutput } from '../block/js-port.js'
import type { PortType } from '../block/type.js'

/** What a source gets. */
export interface SourceContext {
  /** Aborts when it is to end: by `drain()`, by `stop()`, or since a block has failed. */
  readonly signal: AbortSignal
}

const SOURCE_TYPES: OptionNames<{ out: unknown }> = { out: true }

/** Where the values of a source come from. */
export type Yielded<V> = AsyncIterable<V> | Iterable<V>

/** Sends what a generator yields. See {@link source}. */
export class SourceBlock<T, V = T> extends JsBlock {
  /** Output `out`. */
  readonly out: JsOutput<T, V>
  readonly #generate: (context: SourceContext) => Yielded<V>

  /** @internal */
  constructor(name: string, type: PortType<T, V>, generate: (context: SourceContext) => Yielded<V>) {
    super(name)
    this.#generate = checkFunction(`the function of block "${name}"`, generate)
    this.out = this.sends('out', type)
  }

  /** @internal A stop does not wait for a generator that waits for something else. */
  async work(io: BlockIo): Promise<void> {
    const outbox = new Outbox(io, this.out)
    const sent = this.#sendAll(io, outbox)
    try {
      await new Promise<void>((resolve, reject) => {
        const forget = onAbort(io.stopping, () => reject(io.stopping.reason as Error))
        sent.finally(forget).then(resolve, reject)
      })
    } finally {
      await outbox.end()
    }
  }

  async #sendAll(io: BlockIo, outbox: Outbox<V>): Promise<void> {
    const values = iteratorOf(this.name, this.#generate({ signal: io.ending }))
    const slice = new TimeSlice()
    let ending = false
    const forget = onAbort(io.ending, () => (ending = true))
    try {
      for (;;) {
        const told = ending
        const next = values.next()
        const { value, done } = isPromiseLike(next) ? await next : next
        if (done === true) break
        outbox.add(value)
        if (outbox.full) await outbox.flush()
        if (slice.exceeded()) await slice.pass()
        // Stopped meanwhile: what is asked for now nobody would count.
        io.stopping.throwIfAborted()
        if (told) break
      }
      await outbox.flush()
    } finally {
      forget()
      await values.return?.()
    }
  }
}

/** What a source has yielded and not sent: sent together, when there are enough, or the event loop has turned. */
class Outbox<V> {
  readonly #io: BlockIo
  readonly #out: JsOutput<unknown, V>
  readonly #most: number
  #list: V[] = []
  #sending: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined
  #scheduled = false
  #ended = false

  constructor(io: BlockIo, out: JsOutput<unknown, V>) {
    this.#io = io
    this.#out = out
    this.#most = Math.min(BATCH_MAX, io.capacityOf(out))
  }

  get full(): boolean {
    return this.#list.length >= this.#most
  }

  /** @throws what sending has failed with; the reason of a stop */
  add(value: V): void {
    if (this.#ended) {
      this.#io.lose(this.#out, [value])
      this.#io.stopping.throwIfAborted()
    }
    this.#list.push(value)
    if (this.#failure !== undefined) throw this.#failure.error
    this.#schedule()
  }

  /** Resolves when everything has been sent. */
  async flush(): Promise<void> {
    while (this.#failure === undefined && (this.#sending !== undefined || this.#list.length > 0)) {
      if (this.#sending === undefined) this.#begin()
      await this.#sending
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Nothing more is sent. */
  async end(): Promise<void> {
    this.#ended = true
    await this.#sending
    this.#io.lose(this.#out, this.#list.splice(0))
  }

  #schedule(): void {
    if (this.#scheduled || this.#sending !== undefined) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (this.#sending === undefined && this.#list.length > 0 && !this.#ended) this.#begin()
    })
  }

  /** Begins to send what there is. */
  #begin(): void {
    const list = this.#list
    this.#list = []
    if (this.#io.trySend(this.#out, list)) return
    const end = () => {
      this.#sending = undefined
      if (this.#list.length > 0) this.#schedule()
    }
    this.#sending = this.#io.send(this.#out, list).then(end, (error: unknown) => {
      this.#failure ??= { error }
      end()
    })
  }
}

function iteratorOf<V>(name: string, values: Yielded<V>): AsyncIterator<V> | Iterator<V> {
  if (typeof values === 'object' && values !== null) {
    if (Symbol.asyncIterator in values) return values[Symbol.asyncIterator]()
    if (Symbol.iterator in values) return values[Symbol.iterator]()
  }
  throw invalidArgument(`what the function of block "${name}" returns`, 'an iterable, as of a generator', values)
}

/**
 * A block that sends what a generator, asynchronous or not, yields. It is asked for the next value when the ones before it are sent, but for
 * as many as the smallest queue that the output is linked to has room for, 256 at most. When the flow drains, or fails, the signal aborts;
 * a generator that does not heed it is ended when it has yielded one more value.
 * Output `out`.
 * @param name its name, unless `add` says another one
 */
export function source<T, V = T>(
  name: string,
  types: { out: PortType<T, V> },
  generate: (context: SourceContext) => Yielded<V>,
): SourceBlock<T, V> {
  const { out } = checkOptions(`block "${name}"`, types, SOURCE_TYPES)
  return new SourceBlock(name, out, generate)
}
