// What a pair of ends is asked to do. Runs in the two programs of a pair.
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { End } from '../peers/transport.js'
import { latencyOf } from './numbers.js'
import type { Latency } from './result.js'

/** Messages that are sent as one batch. */
export const BATCH = 256
/** Payloads in turn take this much memory at most: a sender that reused one would find it in its caches. */
const PAYLOADS_BYTES_MAX = 16 * 2 ** 20

/** Streams as many messages as fit a time. */
export interface StreamWork {
  readonly kind: 'stream'
  readonly bytes: number
  /** Send with `sendMany`. */
  readonly batches: boolean
  /** The receiver copies each message out; else it looks at both ends of it. */
  readonly readAll?: boolean
}

/** One message to and fro, again and again. */
export interface RoundTripWork {
  readonly kind: 'round-trip'
  readonly bytes: number
  /** Time between an answer and the next message: long enough for both sides to fall asleep, or none. */
  readonly gapMs: number
}

/** Messages at times that were fixed before, whatever became of those before them; measured from when they were due. */
export interface ScheduleWork {
  readonly kind: 'schedule'
  readonly bytes: number
  /** Messages that are due together. */
  readonly burst: number
  readonly everyMs: number
}

/** The work of one row. */
export type Work = StreamWork | RoundTripWork | ScheduleWork

/** Payloads that never change. Each begins with its number, so that the receiver can tell what should come next. */
export function payloadsOf(bytes: number): Uint8Array[] {
  const count = Math.max(2, Math.min(BATCH * 4, Math.floor(PAYLOADS_BYTES_MAX / bytes)))
  return Array.from({ length: count }, (_, number) => {
    const payload = new Uint8Array(bytes).fill(number)
    new DataView(payload.buffer).setUint32(0, number, true)
    return payload
  })
}

/** Counts messages, looks at both ends of each and at their order. */
export class Counter {
  count = 0
  readonly #of: number
  /** Kept, so that no compiler finds the bytes are not needed. */
  edges = 0
  #expected = 0
  #target = Infinity
  #onTarget: (() => void) | undefined

  constructor(bytes: number) {
    this.#of = payloadsOf(bytes).length
  }

  readonly see = (message: Uint8Array): void => {
    const number = message[0]! | (message[1]! << 8)
    if (number !== this.#expected) throw new Error(`message ${this.count} is number ${number}, not ${this.#expected}`)
    this.#expected = number + 1 === this.#of ? 0 : number + 1
    this.edges += message[message.length - 1]!
    this.tick()
  }

  /** Counts one, whatever it is. */
  tick(): void {
    if (++this.count === this.#target) this.#onTarget?.()
  }

  /** Resolves when `target` messages have come in all. */
  reached(target: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.count >= target) return resolve()
      this.#target = target
      this.#onTarget = resolve
    })
  }
}

/** Sends for `ms`, and answers how many in all with those `sent` before. */
export async function streamFor(end: End, work: StreamWork, payloads: readonly Uint8Array[], sent: number, ms: number) {
  const deadline = performance.now() + ms
  const batch = Math.min(BATCH, payloads.length >> 1)
  // Looking at the clock is not free: every so many messages of a few KiB, at each of many.
  const look = Math.max(1, Math.min(batch, Math.floor(2 ** 20 / work.bytes)))
  let next = sent % payloads.length
  let total = sent
  do {
    if (work.batches && end.sendMany !== undefined) {
      const part = payloads.slice(next, next + batch)
      await end.sendMany(part)
      total += part.length
      next = (next + part.length) % payloads.length
    } else {
      for (let i = 0; i < look; i++) {
        const wait = end.send(payloads[next]!)
        next = next + 1 === payloads.length ? 0 : next + 1
        if (wait !== undefined) await wait
      }
      total += look
    }
  } while (performance.now() < deadline)
  await end.flush?.()
  return total
}

/** Round trips for `ms`; the other side echoes. */
export async function roundTrips(
  end: End,
  pings: Pings,
  { bytes, gapMs }: RoundTripWork,
  ms: number,
): Promise<Latency> {
  const deadline = performance.now() + ms
  const payload = new Uint8Array(bytes)
  const samples: number[] = []
  do {
    if (gapMs > 0) await sleep(gapMs)
    const started = process.hrtime.bigint()
    const answer = pings.next()
    void end.send(payload)
    void end.flush?.()
    await answer
    samples.push(Number(process.hrtime.bigint() - started) / 1e3)
  } while (performance.now() < deadline)
  return latencyOf(Float64Array.from(samples))
}

/** The answers to pings. */
export class Pings {
  #arrived: (() => void) | undefined

  readonly arrive = (): void => this.#arrived?.()

  next(): Promise<void> {
    return new Promise((resolve) => (this.#arrived = resolve))
  }
}

const TIME_AT = 8

/** Sends bursts on schedule for `ms`, each message with the time when it was due; answers how many messages. */
export async function sendOnSchedule(end: End, { bytes, burst, everyMs }: ScheduleWork, ms: number): Promise<number> {
  const bursts = Math.max(1, Math.floor(ms / everyMs))
  const start = process.hrtime.bigint() + BigInt(everyMs * 1e6)
  for (let i = 0; i < bursts; i++) {
    const due = start + BigInt(Math.round(i * everyMs * 1e6))
    // Timers come late by a millisecond and more: the last stretch is waited for awake, with an event loop that turns.
    const early = Number(due - process.hrtime.bigint()) / 1e6 - 1.5
    if (early > 0) await sleep(early)
    while (process.hrtime.bigint() < due) await setImmediate()
    const messages = Array.from({ length: burst }, () => {
      const message = new Uint8Array(bytes)
      new DataView(message.buffer).setBigInt64(TIME_AT, due, true)
      return message
    })
    if (burst > 1 && end.sendMany !== undefined) await end.sendMany(messages)
    else for (const message of messages) await end.send(message)
    await end.flush?.()
  }
  return bursts * burst
}

/** Latencies of messages on schedule, each from when it was due to when it had arrived. */
export class Arrivals {
  readonly #samples: number[] = []
  readonly #burst: number
  #count = 0

  constructor({ burst }: ScheduleWork) {
    this.#burst = burst
  }

  /** Of a burst, the last one counts. */
  see(message: Uint8Array): void {
    if (++this.#count % this.#burst !== 0) return
    const due = new DataView(message.buffer, message.byteOffset).getBigInt64(TIME_AT, true)
    this.#samples.push(Number(process.hrtime.bigint() - due) / 1e3)
  }

  take(): Latency {
    return latencyOf(Float64Array.from(this.#samples.splice(0)))
  }
}
