import type { OptionNames } from '../../check.js'
import { checkInteger, checkOptions, MAX_TIMEOUT_MS } from '../../check.js'
import { invalidArgument } from '../../errors.js'
import type { BlockIo } from './block-io.js'
import { JsBlock } from './js-block.js'
import type { JsOutput } from '../block/js-port.js'
import { failureOf } from './on-error.js'
import type { PortType } from '../block/type.js'
import { type } from '../block/type.js'

/** What a {@link timer} sends. */
export interface Tick {
  /** Its number, from 0; those of ticks that were missed are left out. */
  index: number
  /** When it was due, in ms since the start of the timer. */
  time: number
  /** Ticks that were missed right before it. */
  missed: number
}

/** Options of {@link timer}. */
export interface TimerOptions {
  /** Time from one tick to the next, in ms, from 1 on. */
  interval: number
  /** How many ticks it sends before it ends. Default: no end. */
  count?: number
}

const TIMER_OPTIONS: OptionNames<TimerOptions> = { interval: true, count: true }

/** The type of ticks. */
export const ticks: PortType<Tick> = type<Tick>('json', { name: 'tick' })

/** Sends a tick at each interval. See {@link timer}. */
export class TimerBlock extends JsBlock {
  /** Output `out`. */
  readonly out: JsOutput<Tick>
  readonly #interval: number
  readonly #count: number

  /** @internal */
  constructor(name: string, options: TimerOptions) {
    super(name)
    const { interval, count = Infinity } = checkOptions(`block "${name}"`, options, TIMER_OPTIONS)
    if (!(interval >= 1 && interval <= MAX_TIMEOUT_MS)) {
      throw invalidArgument(
        `interval of block "${name}"`,
        `a number of milliseconds from 1 to ${MAX_TIMEOUT_MS}`,
        interval,
      )
    }
    this.#interval = interval
    this.#count =
      count === Infinity ? count : checkInteger(`count of block "${name}"`, count, 1, Number.MAX_SAFE_INTEGER)
    this.out = this.sends('out', ticks)
  }

  /** @internal Ticks are due at multiples of the interval since the start, however late those before them were. */
  async work(io: BlockIo): Promise<void> {
    const { clock, ending } = io
    const start = clock.now()
    let next = 0
    for (let sent = 0; sent < this.#count; sent++) {
      const rest = start + (next + 1) * this.#interval - clock.now()
      const ended = rest > 0 ? await failureOf(() => clock.sleep(rest, ending)) : undefined
      if (ended !== undefined || ending.aborted) return
      const index = Math.max(next, Math.floor((clock.now() - start) / this.#interval) - 1)
      const missed = index - next
      io.counts.count('missed', missed)
      await io.send(this.out, [{ index, time: (index + 1) * this.#interval, missed }])
      next = index + 1
    }
  }
}

/**
 * A source that sends a {@link Tick} at each interval, without drift. Ticks that are due while there is no room, or the event loop is busy, are
 * missed: the newest is sent, with their number, which is also its counter `missed`. Ends with the flow. Output `out`, of type {@link ticks}.
 * @param name its name, unless `add` says another one
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`
 */
export function timer(name: string, options: TimerOptions): TimerBlock {
  return new TimerBlock(name, options)
}
