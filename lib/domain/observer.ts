import type { ParticipantId } from '../session/participant-id.js'
import type { ErrorCode } from '../errors.js'
import { callNative, MillraceError } from '../errors.js'
import { baseDirectory } from './base-directory.js'
import type { Finding, FsckOptions } from './fsck.js'
import { type BindingObserver, NativeObserver } from '../native/native.js'
import type { OptionNames } from '../check.js'
import { checkInteger, checkName, checkObject, checkOptions, checkText, checkTimeout } from '../check.js'
import type { RecoveryReport, StallReport } from './reports.js'
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

const OBSERVE_OPTIONS: OptionNames<ObserveOptions> = { directory: true }
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
    const { directory = baseDirectory() } = checkOptions('ShmObserver.open', options, OBSERVE_OPTIONS)
    if (directory !== undefined) checkText('directory', directory)
    return new ShmObserver(callNative(() => NativeObserver.open(domain, directory)))
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

  /** Participants that are stalled now: stopped by a signal, a debugger, a paused container. They are alive. */
  stalled(): StallReport[] {
    return JSON.parse(callNative(() => this.#native.stalled())) as StallReport[]
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
