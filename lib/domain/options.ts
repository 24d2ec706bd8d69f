import { Buffer } from 'node:buffer'
import type { OptionNames, Size } from '../check.js'
import { checkBoolean, checkInteger, checkSize, checkText, checkWord, MAX_TIMEOUT_MS } from '../check.js'
import { invalidArgument } from '../errors.js'
import { MAX_MAX_BYTES, MAX_NAME_BYTES, MIN_MAX_BYTES } from '../native/generated/limits.js'
import type { BindingOpenOptions } from '../native/native.js'
import type { Spin } from '../session/limits.js'
import type { ExhaustedPolicy } from '../session/session.js'

/** Options of {@link ShmManager.open}. */
export interface OpenOptions {
  /** Pool budget of the domain in bytes. Default: 256 MiB when this creates the domain, else what it has. */
  maxBytes?: Size
  /** Keep the domain when its last participant leaves. Default: false. */
  persist?: boolean
  /** Name of this participant in snapshots, at most 63 bytes. Default: program and process id. */
  name?: string
  /** Directory that holds domains, instead of `MILLRACE_DIR` or the system's. */
  directory?: string
  /** How long to wait for the domain to become ready, in ms. Default: 10 000. */
  openTimeout?: number
  /**
   * What `put` does when the pool is exhausted, which it is when it has grown to `maxBytes` and no buffer is free: `wait` (default) waits
   * for a buffer to come back, as it does for room in the queue; `reject` fails with `ERR_MILLRACE_EXHAUSTED`.
   */
  exhausted?: ExhaustedPolicy
  /** How long a wait polls before it sleeps, unless it says itself: see {@link WaitOptions.spin}. Default: 0. */
  spin?: Spin
  /**
   * For tests: every message gets an ArrayBuffer of its own that is detached at release, and references that are garbage
   * collected without release are reported as process warnings (`MILLRACE_LEAK`) with the stack that took them. Default: false.
   */
  guard?: boolean
}

/** @internal */
export const OPEN_OPTIONS: OptionNames<OpenOptions> = {
  maxBytes: true,
  persist: true,
  name: true,
  directory: true,
  openTimeout: true,
  exhausted: true,
  spin: true,
  guard: true,
}

const EXHAUSTED = ['reject', 'wait'] as const

/** @internal Options of {@link ShmManager.open} as the addon takes them. */
export function bindOpenOptions(options: OpenOptions, defaultName: string): BindingOpenOptions {
  const { maxBytes, persist, name = defaultName, directory, openTimeout } = options
  return {
    name: checkParticipantName(name),
    ...(maxBytes !== undefined && { maxBytes: checkSize('maxBytes', maxBytes, MIN_MAX_BYTES, MAX_MAX_BYTES) }),
    ...(persist !== undefined && { persist: checkBoolean('persist', persist) }),
    ...(directory !== undefined && { directory: checkText('directory', directory) }),
    ...(openTimeout !== undefined && { openTimeoutMs: checkInteger('openTimeout', openTimeout, 0, MAX_TIMEOUT_MS) }),
  }
}

/** @throws unless `value` is one of the policies. */
export function checkExhausted(value: ExhaustedPolicy | undefined): ExhaustedPolicy {
  return value === undefined ? 'wait' : EXHAUSTED[checkWord('exhausted', value, EXHAUSTED)]!
}

function checkParticipantName(name: unknown): string {
  if (typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= MAX_NAME_BYTES) return name
  throw invalidArgument('participant name', `a text of 1 to ${MAX_NAME_BYTES} bytes`, name)
}
