import type { NamedCodec } from '../codec/codec.js'
import { codecOf, codecRecorded } from '../codec/codec.js'
import { decodingOf } from '../codec/decoding.js'
import { hasCode, MillraceError, show } from '../errors.js'
import type { BindingQueueInfo, BindingQueueOptions } from '../native/native.js'
import { remaps } from '../native/native.js'
import { DELIVERIES } from '../native/words.js'
import type { Namespace } from './namespace.js'
import type { Asked } from './options.js'
import type { Acknowledge } from './unacknowledged.js'
import { ACKNOWLEDGE } from './unacknowledged.js'

/** Values in work take places among the leases, of which a ring has as many as slots: so it is larger than maxsize. */
const LEASES_MIN = 1024
const AT_LEAST_ONCE = DELIVERIES.indexOf('at-least-once')
const DEFAULT_CODEC = 'v8'

/** A queue of a namespace that is open, as everybody has it: what nobody has asked for may still become what somebody asks for. */
export class WorkQueue<T> {
  readonly handle: number
  readonly name: string
  readonly #namespace: Namespace
  #codec: NamedCodec<T> | undefined
  #info: BindingQueueInfo
  #closed = false
  /** What {@link remaps} was when {@link WorkQueue.#info} was read: a queue that changes is another in memory. */
  #remaps: number

  private constructor(namespace: Namespace, handle: number, info: BindingQueueInfo, codec: NamedCodec<T> | undefined) {
    this.handle = handle
    this.name = info.name
    this.#namespace = namespace
    this.#codec = codec && this.#decoding(codec)
    this.#remaps = remaps()
    this.#info = info
  }

  /** Opens queue `name`, or makes it. */
  static open<T>(namespace: Namespace, name: string, asked: Asked<T>): WorkQueue<T> {
    for (;;) {
      agree(namespace, name, asked)
      const opened = WorkQueue.#attach<T>(namespace, name, asked)
      // Else somebody has destroyed it in between.
      if (opened !== undefined) return opened
    }
  }

  /** Queue `name` if it exists. */
  static find<T>(namespace: Namespace, name: string, asked: Asked<T>): WorkQueue<T> | undefined {
    const exists = namespace.with(name, (native, handle) => native.depth(handle) !== null)
    return exists ? WorkQueue.open(namespace, name, asked) : undefined
  }

  static #attach<T>(namespace: Namespace, name: string, { codec }: Asked<T>): WorkQueue<T> | undefined {
    const handle = namespace.attach(name)
    let opened: WorkQueue<T> | undefined
    try {
      const info = namespace.session.call((native) => native.queueInfo(handle))
      if (info !== null) {
        opened = new WorkQueue(namespace, handle, info, codec)
        void opened.codec
      }
      return opened
    } finally {
      if (opened === undefined) namespace.detach(handle)
    }
  }

  /** Values it holds. */
  get maxsize(): number {
    return maxsizeOf(this.#now())
  }

  /** Values of it that can be in work at a time. */
  get leases(): number {
    return this.#now().capacity
  }

  /** When a value that was got counts as finished. */
  get acknowledge(): Acknowledge {
    return acknowledgeOf(this.#now())
  }

  /** How its values become bytes. @throws {@link MillraceError} `ERR_MILLRACE_OPTIONS_MISMATCH` when that has to be named to be known */
  get codec(): NamedCodec<T> {
    const { codec, codecOpen } = this.#now()
    if (this.#codec !== undefined) return this.#codec
    if (codecOpen) return this.#decoding(codecOf<T>(DEFAULT_CODEC))
    return (this.#codec = this.#decoding(codecRecorded<T>(codec, `SageQueue "${this.name}"`)))
  }

  #decoding(codec: NamedCodec<T>): NamedCodec<T> {
    return decodingOf(`a value of queue "${this.name}"`, codec)
  }

  /** The same for somebody who puts: from now on it is named. */
  get codecToPut(): NamedCodec<T> {
    if (this.#codec === undefined && this.#look()?.codecOpen === true) {
      try {
        agree(this.#namespace, this.name, { codec: codecOf<T>(DEFAULT_CODEC) })
      } catch (error) {
        // Somebody has named another meanwhile.
        if (!hasCode(error, 'ERR_MILLRACE_OPTIONS_MISMATCH')) throw error
      }
      this.#look()
    }
    return this.codec
  }

  /** Lets go of it. */
  close(): void {
    this.#closed = true
    this.#namespace.detach(this.handle)
  }

  #now(): BindingQueueInfo {
    // Of one that was destroyed, or is closed here, it is what it was.
    return remaps() === this.#remaps || this.#closed ? this.#info : (this.#look() ?? this.#info)
  }

  #look(): BindingQueueInfo | null {
    this.#remaps = remaps()
    const info = this.#namespace.session.call((native) => native.queueInfo(this.handle))
    if (info !== null) this.#info = info
    return info
  }
}

/** Makes queue `name` what is asked for, as far as nobody has asked for something else before. */
function agree<T>(namespace: Namespace, name: string, asked: Asked<T>): void {
  const { maxsize, codec, acknowledge, maxDeliveries } = asked
  const options: BindingQueueOptions = {
    delivery: AT_LEAST_ONCE,
    defaultCodec: DEFAULT_CODEC,
    ...(maxsize !== undefined && { capacity: Math.max(maxsize, LEASES_MIN), limit: maxsize }),
    ...(codec !== undefined && { codec: codec.name }),
    ...(acknowledge !== undefined && { typeId: ACKNOWLEDGE.indexOf(acknowledge) }),
    ...(maxDeliveries !== undefined && { maxDeliveries }),
  }
  try {
    namespace.detach(namespace.attach(name, options))
  } catch (error) {
    throw hasCode(error, 'ERR_MILLRACE_OPTIONS_MISMATCH') ? inOurWords(namespace, name, asked, error) : error
  }
}

/** `error`, that the queue is not what was asked for, by the names that its options have here. */
function inOurWords<T>(namespace: Namespace, name: string, asked: Asked<T>, error: MillraceError): MillraceError {
  return namespace.with(name, (native, handle) => {
    const info = native.queueInfo(handle)
    if (info === null) return error
    const options = [
      ['maxsize', maxsizeOf(info), asked.maxsize],
      ['acknowledge', acknowledgeOf(info), asked.acknowledge],
    ]
    const differs = options.find(([, is, wanted]) => wanted !== undefined && wanted !== is)
    if (differs === undefined) return error
    const [what, is, wanted] = differs
    const whose = native.whoseQueue(handle)
    const message = `SageQueue ${show(name)} exists with ${what} ${show(is)}, ${show(wanted)} was asked for: ${whose}`
    return new MillraceError('ERR_MILLRACE_OPTIONS_MISMATCH', message)
  })
}

/** Values that the queue holds of which that is known. */
export function maxsizeOf({ limit, capacity }: { limit: number; capacity: number }): number {
  return limit === 0 ? capacity : limit
}

function acknowledgeOf({ typeId }: BindingQueueInfo): Acknowledge {
  return ACKNOWLEDGE[typeId] ?? ACKNOWLEDGE[0]
}
