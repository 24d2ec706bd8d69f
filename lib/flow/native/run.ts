import type { EventEmitter } from 'node:events'
import type { ErrorCode } from '../../errors.js'
import { callNative, MillraceError } from '../../errors.js'
import type { BindingFlow, BindingRun } from '../../native/native.js'
import { PATIENCE_MS, warnOfWait } from '../../session/overdue.js'
import type { Session } from '../../session/session.js'
import type { Stall, StallEvents } from '../block/stall-watch.js'
import { endsWithin, stallError, StallWatch } from '../block/stall-watch.js'
import type { Counted, Report } from '../block/stats.js'
import { reportOf } from '../block/stats.js'

/** How a run has ended, as the addon says it. */
interface Outcome {
  counted: Counted
  code: ErrorCode | null
  message: string | null
}

/** A port at a queue at whose other side nobody is. */
interface Alone {
  port: string
  queue: string
  /** It is an input, to whose queue nobody has sent. */
  receives: boolean
}

/** Blocks that threads of the addon run. */
export class FlowRun {
  /** Settles when every block has ended; rejects with the first failure of one. */
  readonly ended: Promise<Report>
  readonly #native: BindingRun
  readonly #sources: readonly boolean[]
  readonly #watch: StallWatch
  /** Looks once for blocks that wait at queues at whose other side nobody is. */
  readonly #overdue: NodeJS.Timeout
  #last: Report | undefined

  /** @throws `MillraceError` when they cannot be started. */
  constructor(
    session: Session,
    flow: BindingFlow,
    sources: readonly boolean[],
    stallTimeout: number,
    tell: EventEmitter<StallEvents>,
  ) {
    this.#sources = sources
    this.#native = session.call((open) => open.runFlow(flow))
    this.#watch = new StallWatch(stallTimeout, () => this.stalls(stallTimeout), tell)
    this.#overdue = setTimeout(() => this.#warn(), PATIENCE_MS).unref()
    const forget = session.onClose(() => {
      this.#stopLooking()
      const counted = callNative(() => this.#native.close())
      if (counted !== null) this.#last = this.#report(JSON.parse(counted) as Counted)
    })
    this.ended = this.#native.ended().then((outcome) => {
      forget()
      this.#stopLooking()
      return this.#end(JSON.parse(outcome) as Outcome)
    })
  }

  get hasEnded(): boolean {
    return this.#last !== undefined
  }

  /** What has been counted so far. */
  report(): Report {
    return this.#last ?? this.#report(JSON.parse(callNative(() => this.#native.report())) as Counted)
  }

  /** Calls of work that have taken longer than so many ms so far. */
  stalls(longerThan: number): Stall[] {
    return this.hasEnded ? [] : (JSON.parse(callNative(() => this.#native.stalls(longerThan))) as Stall[])
  }

  pause(): void {
    callNative(() => this.#native.pause())
  }

  resume(): void {
    callNative(() => this.#native.resume())
  }

  /** Sources end, what is under way arrives. */
  async drain(timeout: number, stopTimeout: number): Promise<Report> {
    if (!this.hasEnded) callNative(() => this.#native.drain())
    const ended = await endsWithin(this.ended, timeout, this.#watch)
    if (ended === true) return this.ended
    if (ended !== false) {
      callNative(() => this.#native.stop())
      throw stallError('the blocks do not end and are stopped', ended)
    }
    const waiting = callNative(() => this.#native.explain())
    const { blocks } = await this.stop(stopTimeout)
    const lost = blocks.reduce((sum, block) => sum + block.lost, 0)
    const message = `the blocks did not end within ${timeout} ms and were stopped, ${lost} messages were lost: ${waiting}`
    throw new MillraceError('ERR_MILLRACE_TIMEOUT', message)
  }

  /** Every block ends after the work it is in. */
  async stop(timeout: number): Promise<Report> {
    if (!this.hasEnded) callNative(() => this.#native.stop())
    const ended = await endsWithin(this.ended, timeout, this.#watch)
    if (ended === true) return this.ended
    if (ended !== false) throw stallError('the blocks do not end', ended)
    const working = callNative(() => this.#native.explain())
    const message = `blocks did not return from their work within ${timeout} ms: ${working}`
    throw new MillraceError('ERR_MILLRACE_TIMEOUT', message)
  }

  #stopLooking(): void {
    this.#watch.stop()
    clearTimeout(this.#overdue)
  }

  #warn(): void {
    for (const { port, queue, receives } of JSON.parse(callNative(() => this.#native.alone())) as Alone[]) {
      if (receives) {
        const what = `input "${port}" gets nothing from queue "${queue}"`
        warnOfWait('MILLRACE_NO_PRODUCER', what, ', and nobody sends there: has it the same name on both sides?')
      } else {
        const what = `output "${port}" sends nothing to queue "${queue}"`
        const why = ', because nobody has created it: a block that receives from it, or who names its options, does'
        warnOfWait('MILLRACE_NO_QUEUE', what, why)
      }
    }
  }

  #report(counted: Counted): Report {
    return reportOf(counted, this.#sources)
  }

  #end({ counted, code, message }: Outcome): Report {
    this.#last ??= this.#report(counted)
    if (code !== null) throw new MillraceError(code, message ?? code)
    return this.#last
  }
}
