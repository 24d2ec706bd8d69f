import type { ParticipantId } from '../session/participant-id.js'
import type { ErrorCode } from '../errors.js'
import { callNative, MillraceError } from '../errors.js'
import { baseDirectory } from './base-directory.js'
import type { Finding, FsckOptions } from './fsck.js'
import { type BindingObserver, NativeObserver } from '../native/native.js'
import type { OptionNames } from '../check.js'
import { checkBoolean, checkInteger, checkName, checkObject, checkOptions, checkText, checkTimeout } from '../check.js'
import type { ParticipantEvent, RecoveryReport, StallReport } from './reports.js'
import type { Snapshot } from '../session/snapshot.js'
import { snapshotFrom } from '../session/snapshot.js'

/** Options of {@link ShmObserver.open}. */
export interface ObserveOptions {
  /** Directory that holds domains, instead of `MILLRACE_DIR` or the system's. */
  directory?: string
}

/** Options of {@link ShmObserver.evict}. */
export interface EvictOptions {
  /** How long to wait for its end and its recovery, in ms. Default: 10 000. */
  timeout?: number
}

/** Options of {@link ShmObserver.remove}. */
export interface RemoveOptions extends ObserveOptions {
  /** Remove it although it persists, has work queues, or cannot be read so that nobody knows. Default: false. */
  kept?: boolean
  /** How long to wait for somebody who is opening or closing it, in ms. Default: 10 000. */
  timeout?: number
}

/** What {@link ShmObserver.list} tells of every domain. */
export interface ListedDomain {
  /** Name of the domain. */
  domain: string
  /** Directory that holds the domain. */
  directory: string
  /** Participants that are alive. */
  alive: number
  /** Bytes of memory that it takes; null where the system does not say. */
  memoryBytes: number | null
}

/** A domain whose registry can be read. */
export interface ReadableDomain extends ListedDomain {
  /** Nothing is wrong with it. */
  error: null
  /** Participants that have died and are not recovered yet: somebody alive does it within two seconds, or whoever opens it next. */
  dead: number
  /** Bytes of all segments together. */
  usedBytes: number
  /** Pool budget in bytes. */
  maxBytes: number
  /** Whether it outlives its last participant. */
  persist: boolean
  /** Its work queues: a domain that has some is kept when all its participants have died. */
  workQueues: number
  /** When it was created, in ms since the Unix epoch. */
  createdAtMs: number
  /** Version of the package that created it. */
  version: string
}

/** A domain whose registry cannot be read: it is damaged, of another layout version, somebody else's, or half made. */
export interface UnreadableDomain extends ListedDomain {
  /** Why not. */
  error: {
    /** Code of the error. */
    code: ErrorCode
    /** The error in words. */
    message: string
  }
}

/** A domain in the list of all. */
export type DomainEntry = ReadableDomain | UnreadableDomain

/** How {@link ShmObserver.remove} ended. */
export interface Removal {
  /** It is gone; somebody alive is in it; or it is kept, see {@link RemoveOptions.kept}. */
  outcome: 'removed' | 'in-use' | 'kept'
  /** Bytes of memory that it took, if it is gone; null where the system does not say. */
  memoryBytes?: number | null
  /** Who is in it, in words. */
  by?: string
}

const OBSERVE_OPTIONS: OptionNames<ObserveOptions> = { directory: true }
const REMOVE_OPTIONS: OptionNames<RemoveOptions> = { directory: true, kept: true, timeout: true }
const TIMEOUT_OPTIONS: OptionNames<FsckOptions & EvictOptions> = { timeout: true }

const PATIENCE_MS = 10_000
const MAX_SLOT = 2 ** 31 - 1
const MAX_EPOCH = 2 ** 32 - 1

/**
 * Looks at a domain without taking part in it: takes no slot, holds nothing, and leaves the domain as it is, also when nobody
 * else is in it. For tools.
 */
export class ShmObserver {
  readonly #native: BindingObserver

  /** @internal */
  constructor(native: BindingObserver) {
    this.#native = native
  }

  /**
   * Opens a domain that exists; never makes one.
   * @throws {@link MillraceError} `ERR_MILLRACE_NOT_FOUND`, `_INVALID_NAME`, `_INVALID_ARGUMENT`, `_PERMISSION`, `_VERSION`,
   * `_TRUNCATED`, `_CORRUPT`, `_IO`
   */
  static open(domain: string, options: ObserveOptions = {}): ShmObserver {
    checkName('domain', domain)
    const directory = directoryOf(checkOptions('ShmObserver.open', options, OBSERVE_OPTIONS))
    return new ShmObserver(callNative(() => NativeObserver.open(domain, directory)))
  }

  /**
   * Every domain of the directory by name, also those that nobody is in or that cannot be read. Takes part in none, makes and changes
   * none.
   * @throws {@link MillraceError} `ERR_MILLRACE_INVALID_ARGUMENT`, `_PERMISSION`, `_IO`: the directory itself cannot be read
   */
  static list(options: ObserveOptions = {}): DomainEntry[] {
    const directory = directoryOf(checkOptions('ShmObserver.list', options, OBSERVE_OPTIONS))
    return JSON.parse(callNative(() => NativeObserver.list(directory))) as DomainEntry[]
  }

  /**
   * A snapshot of every domain of the directory that can be read now, by name; {@link ShmObserver.list} tells of the others. For metrics of
   * a whole machine: each time anew, so that it finds domains that have been made meanwhile.
   * @throws {@link MillraceError} as {@link ShmObserver.list}
   */
  static snapshots(options: ObserveOptions = {}): Snapshot[] {
    return ShmObserver.list(options).flatMap(({ domain, error }) =>
      error === null ? (snapshotIfReadable(domain, options) ?? []) : [],
    )
  }

  /**
   * Removes a domain with all that is in it, unless somebody alive takes part in it; one that persists, has work queues or cannot be read
   * only with {@link RemoveOptions.kept}.
   * @throws {@link MillraceError} `ERR_MILLRACE_NOT_FOUND`, `_INVALID_NAME`, `_INVALID_ARGUMENT`, `_PERMISSION`, `_IO`; `_TIMEOUT` when
   * somebody who is opening or closing it does not proceed
   */
  static async remove(domain: string, options: RemoveOptions = {}): Promise<Removal> {
    checkName('domain', domain)
    const { kept = false, timeout = PATIENCE_MS } = checkOptions('ShmObserver.remove', options, REMOVE_OPTIONS)
    const directory = directoryOf(options)
    checkBoolean('kept', kept)
    checkTimeout('timeout', timeout)
    return outcome(await callNative(() => NativeObserver.remove(domain, directory, kept, timeout)))
  }

  /**
   * Lets go of the domain: its memory and descriptors go at once, not with the garbage collector. Later calls throw
   * `ERR_MILLRACE_CLOSED`; what is under way comes to its end. Idempotent.
   */
  close(): void {
    this.#native.close()
  }

  /** The same as {@link ShmObserver.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** Everything in the domain now: plain data, safe for JSON. */
  snapshot(): Snapshot {
    return snapshotFrom(callNative(() => this.#native.snapshot()))
  }

  /** Participants that have died and are not recovered yet. */
  dead(): ParticipantId[] {
    const dead = JSON.parse(callNative(() => this.#native.dead())) as [slot: number, epoch: number][]
    return dead.map(([slot, epoch]) => ({ slot, epoch }))
  }

  /** Participants that are stalled now: stopped by a signal, a debugger, a paused container. They are alive. */
  stalled(): StallReport[] {
    return JSON.parse(callNative(() => this.#native.stalled())) as StallReport[]
  }

  /**
   * Who has joined, left or died after event number `since`, in the order that is the same for everybody: of the last 256 events, which the
   * domain remembers. `missed` of the first recovery is 0, whatever was before it.
   */
  events(since = 0): ParticipantEvent[] {
    checkInteger('since', since, 0, Number.MAX_SAFE_INTEGER)
    return JSON.parse(callNative(() => this.#native.events(since))) as ParticipantEvent[]
  }

  /**
   * Compares every record of the domain with every other, while its participants are kept out for about a millisecond. No
   * findings: each buffer is free, held, queued or referenced exactly as recorded. The dead are recovered first. Changes
   * nothing else.
   * @throws {@link MillraceError} `ERR_MILLRACE_TIMEOUT` when a participant is stopped inside an operation; the message says which
   */
  async fsck(options: FsckOptions = {}): Promise<Finding[]> {
    const timeout = timeoutOf('fsck', options)
    return outcome(await callNative(() => this.#native.fsck(timeout)))
  }

  /**
   * Ends a participant, stopped or running, with `kill -9`: its whole process, all threads and all their managers. Resolves
   * when its death is recovered. The process is identified beyond doubt first (by the life lock it holds, through a pidfd), so
   * another one that has got its number is never hit.
   * @throws {@link MillraceError} `ERR_MILLRACE_NOT_FOUND` when it has left or died already; `_INVALID_ARGUMENT` when it is of this
   * very process; `_UNSUPPORTED` when its process cannot be identified from here (another pid namespace, not Linux);
   * `_PERMISSION`; `_TIMEOUT`
   */
  async evict(participant: ParticipantId, options: EvictOptions = {}): Promise<RecoveryReport> {
    const { slot, epoch } = checkObject('participant', participant)
    checkInteger('participant.slot', slot, 0, MAX_SLOT)
    checkInteger('participant.epoch', epoch, 0, MAX_EPOCH)
    const timeout = timeoutOf('evict', options)
    return outcome(await callNative(() => this.#native.evict(slot, epoch, timeout)))
  }
}

/** The domain now; null: it has ended, or become unreadable, since it was listed. */
function snapshotIfReadable(domain: string, options: ObserveOptions): Snapshot | null {
  try {
    using observer = ShmObserver.open(domain, options)
    return observer.snapshot()
  } catch (error) {
    if (error instanceof MillraceError) return null
    throw error
  }
}

function directoryOf({ directory = baseDirectory() }: ObserveOptions): string | undefined {
  return directory === undefined ? undefined : checkText('directory', directory)
}

function timeoutOf(what: string, options: FsckOptions | EvictOptions): number {
  const { timeout = PATIENCE_MS } = checkOptions(what, options, TIMEOUT_OPTIONS)
  return checkTimeout('timeout', timeout)
}

/** What native work beside the event loop came to. */
function outcome<T>(json: string): T {
  const result = JSON.parse(json) as { value: T } | { code: ErrorCode; message: string }
  if ('value' in result) return result.value
  throw new MillraceError(result.code, result.message)
}
