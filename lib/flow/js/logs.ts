import type { PortType } from '../block/type.js'
import { type } from '../block/type.js'
import type { JsOutput } from '../block/js-port.js'
import { onAbort } from '../../session/cancel.js'
import type { BlockIo } from './block-io.js'
import { JsBlock } from './js-block.js'

/** What {@link logs} sends: a line that a process or a worker thread of the flow has printed. */
export interface LogLine {
  /** Name of the process or worker thread. */
  from: string
  /** Where it was printed. */
  stream: 'stdout' | 'stderr'
  /** The line, without its end. */
  text: string
  /** When it came, in ms since the Unix epoch. */
  time: number
  /** Lines that were missed right before it. */
  missed: number
}

/** The type of lines. */
export const logLines: PortType<LogLine> = type<LogLine>('json', { name: 'log-line' })

/** Lines that wait to be sent. */
const MOST_LINES = 4096

/** Sends what the processes of its flow print. See {@link logs}. */
export class LogsBlock extends JsBlock {
  /** Output `out`. */
  readonly out: JsOutput<LogLine>
  #lines: LogLine[] = []
  /** Lines missed since the last one. */
  #missed = 0
  /** Of all, those that are not counted yet. */
  #uncounted = 0
  #isOver = false
  #wake = (): void => {}

  /** @internal */
  constructor(name: string) {
    super(name)
    this.out = this.sends('out', logLines)
  }

  /** @internal Whoever prints is not held up: what there is no room for is missed. */
  hear(line: Omit<LogLine, 'missed'>): void {
    if (this.#lines.length === MOST_LINES) {
      this.#missed++
      this.#uncounted++
      return
    }
    this.#lines.push({ ...line, missed: this.#missed })
    this.#missed = 0
    this.#wake()
  }

  /** @internal Nobody is left who could print. */
  over(): void {
    this.#isOver = true
    this.#wake()
  }

  /** @internal Draining does not end it: what the processes print until they have ended is sent, too. */
  async work(io: BlockIo): Promise<void> {
    const forget = onAbort(io.stopping, () => this.over())
    try {
      for (;;) {
        const lines = this.#lines
        this.#lines = []
        this.#count(io)
        await io.send(this.out, lines)
        if (this.#lines.length > 0) continue
        if (this.#isOver) break
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      forget()
      this.#uncounted += this.#lines.splice(0).length
      this.#count(io)
    }
  }

  #count({ counts }: BlockIo): void {
    counts.count('missed', this.#uncounted)
    this.#uncounted = 0
  }
}

/**
 * A source that sends each line that the processes and worker threads of its flow print, those that are started again among them: their
 * `stdio` is `pipe` then, unless it is said. It runs, as do all blocks behind it, in the process of the flow, and ends when the others
 * have. Lines that come faster than they are taken are missed: the next one says how many, and its counter `missed`. Output `out`, of type {@link logLines}.
 * @param name its name, unless `add` says another one
 */
export function logs(name: string): LogsBlock {
  return new LogsBlock(name)
}
