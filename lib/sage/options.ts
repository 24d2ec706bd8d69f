import type { Codec, NamedCodec } from '../codec/codec.js'
import type { ValueCodecOf } from '../codec/types.js'
import { codecOf } from '../codec/codec.js'
import { misuse } from '../errors.js'
import { MAX_NAME_BYTES, MAX_QUEUE_CAPACITY } from '../native/generated/limits.js'
import type { OptionNames } from '../check.js'
import { checkInteger, checkName, checkOptions, checkWord } from '../check.js'
import type { SageDomainOptions } from './namespace.js'
import { SAGE_DOMAIN_OPTIONS } from './namespace.js'
import type { Acknowledge } from './unacknowledged.js'
import { ACKNOWLEDGE } from './unacknowledged.js'

/**
 * Options of {@link SageQueue}. They are the queue's, for all who have it open: those left out are what the queue has, or the default until
 * somebody names them. Who names another than somebody before gets `ERR_MILLRACE_OPTIONS_MISMATCH`.
 */
export interface SageQueueOptions<T> extends SageDomainOptions {
  /** Values the queue holds, 1 … 1 048 576. Default: 1024. */
  maxsize?: number
  /** How values become bytes. Default: `v8`, which carries all that structured clone does. */
  codec?: ValueCodecOf<T> | Codec<T>
  /** When a value that was got counts as finished; see {@link Acknowledge}. Default: `taskDone`. */
  acknowledge?: Acknowledge
  /**
   * How often one value is got at most: when its workers died, or gave it back, so often, it goes to the dead letters, the
   * SageQueue `<name>.dead`. Default: no limit.
   */
  maxDeliveries?: number
}

/** What is asked of a queue, checked; undefined: nothing. */
export interface Asked<T> {
  readonly maxsize?: number | undefined
  readonly codec?: NamedCodec<T> | undefined
  readonly acknowledge?: Acknowledge | undefined
  /** 0 is no limit. */
  readonly maxDeliveries?: number | undefined
}

const SAGE_QUEUE_OPTIONS: OptionNames<SageQueueOptions<never>> = {
  ...SAGE_DOMAIN_OPTIONS,
  maxsize: true,
  codec: true,
  acknowledge: true,
  maxDeliveries: true,
}

const DEAD = '.dead'

/** @throws {@link MillraceError} unless they are right */
export function checkSageOptions<T>(name: string, options: SageQueueOptions<T>): Asked<T> {
  checkOptions(`SageQueue "${name}"`, options, SAGE_QUEUE_OPTIONS)
  const { maxsize, codec, acknowledge, maxDeliveries } = options
  if (maxsize !== undefined) checkInteger('maxsize', maxsize, 1, MAX_QUEUE_CAPACITY)
  if (acknowledge !== undefined) checkWord('acknowledge', acknowledge, ACKNOWLEDGE)
  return {
    maxsize,
    codec: codec === undefined ? undefined : codecOf<T>(codec),
    acknowledge,
    maxDeliveries: maxDeliveries === undefined ? undefined : checkMaxDeliveries(name, maxDeliveries),
  }
}

function checkMaxDeliveries(name: string, maxDeliveries: number): number {
  if (maxDeliveries === Infinity) return 0
  checkInteger('maxDeliveries', maxDeliveries, 1, 2 ** 32 - 1)
  if (!isDeadLetters(name)) return maxDeliveries
  throw misuse(`SageQueue "${name}" has no maxDeliveries: it is for dead letters, which have none themselves`)
}

/** Whether `name` is that of dead letters: what cannot be got from those has nowhere else to go. */
export function isDeadLetters(name: string): boolean {
  return name.endsWith(DEAD)
}

/** The name of the dead letters of queue `name`. */
export function deadLettersOf(name: string): string {
  return name + DEAD
}

/** @throws {@link MillraceError} `ERR_MILLRACE_INVALID_NAME` unless there is room for the name of its dead letters */
export function checkQueueName(name: string): string {
  const longest = MAX_NAME_BYTES - DEAD.length
  return checkName('queue', name, typeof name === 'string' && isDeadLetters(name) ? MAX_NAME_BYTES : longest)
}
