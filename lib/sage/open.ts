import type { Codec, NamedCodec } from '../codec/codec.js'
import type { ValueCodecOf } from '../codec/types.js'
import { codecOf, codecRecorded } from '../codec/codec.js'
import { hasCode, MillraceError, show } from '../errors.js'
import { MAX_NAME_BYTES, MAX_QUEUE_CAPACITY } from '../native/generated/limits.js'
import type { BindingQueueInfo } from '../native/native.js'
import type { OptionNames } from '../check.js'
import { checkInteger, checkName, checkOptions, checkWord } from '../check.js'
import { DELIVERIES } from '../native/words.js'
import type { Namespace, SageDomainOptions } from './namespace.js'
import { SAGE_DOMAIN_OPTIONS } from './namespace.js'
import type { Acknowledge } from './unacknowledged.js'
import { ACKNOWLEDGE } from './unacknowledged.js'

/** Options of {@link SageQueue}. */
export interface SageQueueOptions<T> extends SageDomainOptions {
  /** Values the queue holds, 1 … 1 048 576. Default: what the queue has, else 1024. */
  maxsize?: number
  /** How values become bytes. Default: what the queue has, else `v8`, which carries all that structured clone does. */
  codec?: ValueCodecOf<T> | Codec<T>
  /** When a value that was got counts as finished; see {@link Acknowledge}. A matter of this end alone. Default: `taskDone`. */
  acknowledge?: Acknowledge
  /**
   * How often one value is got at most: when its workers died, or gave it back, so often, this end moves it to the dead letters, the
   * SageQueue `<name>.dead`. Default: no limit.
   */
  maxDeliveries?: number
}

/** The options of one end, checked; those of the queue are undefined unless they were asked for. */
export interface SageEndOptions<T> {
  readonly maxsize: number | undefined
  readonly codec: NamedCodec<T> | undefined
  readonly acknowledge: Acknowledge
  readonly maxDeliveries: number
}

/** A queue that is open. */
export interface WorkQueue<T> {
  readonly handle: number
  readonly name: string
  readonly maxsize: number
  readonly codec: NamedCodec<T>
  /** Values of it that can be in work at a time. */
  readonly leases: number
}

const SAGE_QUEUE_OPTIONS: OptionNames<SageQueueOptions<never>> = {
  ...SAGE_DOMAIN_OPTIONS,
  maxsize: true,
  codec: true,
  acknowledge: true,
  maxDeliveries: true,
}

const MAXSIZE_DEFAULT = 1024
/** Values in work take places among the leases, of which a ring has as many as slots: so it is larger than maxsize. */
const LEASES_MIN = 1024
const AT_LEAST_ONCE = DELIVERIES.indexOf('at-least-once')
const DEAD = '.dead'

/** @throws {@link MillraceError} unless they are right */
export function checkSageOptions<T>(name: string, options: SageQueueOptions<T>): SageEndOptions<T> {
  checkOptions(`SageQueue '${name}'`, options, SAGE_QUEUE_OPTIONS)
  const { maxsize, codec, acknowledge = 'taskDone', maxDeliveries = Infinity } = options
  if (maxsize !== undefined) checkInteger('maxsize', maxsize, 1, MAX_QUEUE_CAPACITY)
  checkWord('acknowledge', acknowledge, ACKNOWLEDGE)
  if (maxDeliveries !== Infinity) checkInteger('maxDeliveries', maxDeliveries, 1, 2 ** 32 - 1)
  return { maxsize, codec: codec === undefined ? undefined : codecOf<T>(codec), acknowledge, maxDeliveries }
}

/** Opens queue `name`, or makes it. Who opens it without maxsize or codec takes what it has. */
export function openWorkQueue<T>(
  namespace: Namespace,
  name: string,
  { maxsize, codec }: Pick<SageEndOptions<T>, 'maxsize' | 'codec'>,
): WorkQueue<T> {
  const size = maxsize ?? MAXSIZE_DEFAULT
  const named = codec ?? codecOf<T>('v8')
  const options = {
    capacity: Math.max(size, LEASES_MIN),
    delivery: AT_LEAST_ONCE,
    limit: size,
    codec: named.name,
  }
  for (;;) {
    const found = findWorkQueue(namespace, name, { maxsize, codec })
    if (found !== undefined) return found
    try {
      namespace.detach(namespace.attach(name, options))
    } catch (error) {
      // Somebody has made it since we looked: look again.
      if (!hasCode(error, 'ERR_MILLRACE_OPTIONS_MISMATCH')) throw error
    }
  }
}

/** Queue `name` if it exists. */
export function findWorkQueue<T>(
  namespace: Namespace,
  name: string,
  asked: Pick<SageEndOptions<T>, 'maxsize' | 'codec'>,
): WorkQueue<T> | undefined {
  const handle = namespace.attach(name)
  let found: WorkQueue<T> | undefined
  try {
    const info = namespace.session.call((native) => native.queueInfo(handle))
    if (info !== null) found = fitting(handle, info, asked)
  } finally {
    if (found === undefined) namespace.detach(handle)
  }
  return found
}

/** The queue as it is, if it is what was asked for. */
function fitting<T>(
  handle: number,
  { name, limit: maxsize, capacity: leases, codec: recorded }: BindingQueueInfo,
  asked: Pick<SageEndOptions<T>, 'maxsize' | 'codec'>,
): WorkQueue<T> {
  const differs = (what: string, is: unknown, wanted: unknown) => {
    const message = `queue ${show(name)} exists with ${what} ${show(is)}, ${show(wanted)} was asked for`
    return new MillraceError('ERR_MILLRACE_OPTIONS_MISMATCH', message)
  }
  if (asked.maxsize !== undefined && asked.maxsize !== maxsize) throw differs('maxsize', maxsize, asked.maxsize)
  const codec = asked.codec ?? codecRecorded<T>(recorded, name)
  if (codec.name !== recorded) throw differs('codec', recorded, codec.name)
  return { handle, name, maxsize, codec, leases }
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
