import { checkFunction, checkObject } from '../check.js'
import type { Snapshot } from '../session/snapshot.js'
import { INSTRUMENTS, pointsOf } from './instruments.js'
import type { Attributes } from './things.js'

/** What is needed of a `Meter` of `@opentelemetry/api`; `O` is what it makes: observables. */
export interface ObservingMeter<O> {
  /** Makes an instrument for what is counted. */
  createObservableCounter(name: string, options: { unit: string; description: string }): O
  /** Makes an instrument for how much there is. */
  createObservableUpDownCounter(name: string, options: { unit: string; description: string }): O
  /** Has `callback` called whenever values are collected. */
  addBatchObservableCallback(callback: (result: BatchResult<O>) => void, observables: O[]): void
  /** Has it called no more. */
  removeBatchObservableCallback(callback: (result: BatchResult<O>) => void, observables: O[]): void
}

/** Where values are put: a `BatchObservableResult` of `@opentelemetry/api`. */
export interface BatchResult<O> {
  /** Takes the value of `observable` for a thing. */
  observe(observable: O, value: number, attributes: Attributes): void
}

/** Instruments that are observed until this is closed. */
export interface Registration extends Disposable {
  /** Ends it. Idempotent. */
  close(): void
}

/**
 * Makes {@link INSTRUMENTS} of `meter`. Whenever values are collected `read` is called once, and all values are taken from what it
 * returns; what it throws goes to the collecting reader.
 * @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`
 */
export function registerInstruments<O>(
  meter: ObservingMeter<O>,
  read: () => Snapshot | readonly Snapshot[],
): Registration {
  checkObject('meter', meter)
  checkFunction('read', read)
  const observables = INSTRUMENTS.map(({ name, kind, unit, description }) =>
    kind === 'counter'
      ? meter.createObservableCounter(name, { unit, description })
      : meter.createObservableUpDownCounter(name, { unit, description }),
  )
  const observe = (result: BatchResult<O>): void => {
    for (const [at, points] of [...pointsOf([read()].flat()).values()].entries()) {
      for (const { attributes, value } of points) result.observe(observables[at]!, value, attributes)
    }
  }
  meter.addBatchObservableCallback(observe, observables)
  const close = (): void => meter.removeBatchObservableCallback(observe, observables)
  return { close, [Symbol.dispose]: close }
}
