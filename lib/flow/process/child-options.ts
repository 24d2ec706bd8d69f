import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { OptionNames } from '../../check.js'
import {
  checkBoolean,
  checkInteger,
  checkObject,
  checkOptions,
  checkText,
  checkTimeout,
  checkWord,
  MAX_TIMEOUT_MS,
} from '../../check.js'
import { invalidArgument, misuse } from '../../errors.js'

/** When a process that has ended is started again; `on-failure`: unless it ended with exit code 0. */
export type Restart = (typeof RESTARTS)[number]
export const RESTARTS = ['never', 'on-failure', 'always'] as const

/** Where the output of a child goes; `pipe`: to the event `output` of the supervisor. */
export type Stdio = (typeof STDIOS)[number]
export const STDIOS = ['inherit', 'ignore', 'pipe'] as const

/** How long to wait before a restart: `initial`, times `factor` for each restart within the window, at most `max`. */
export interface BackoffOptions {
  /** Before the first restart, in ms. Default: 100. */
  initial?: number
  /** 1 or more. Default: 2. */
  factor?: number
  /** The longest wait, in ms. Default: 10 000. */
  max?: number
  /** The share of the wait, 0 to 1, that is left to chance: many that fail together do not come back together. Default: 0.1. */
  jitter?: number
}

/** Options of {@link Supervisor.start}. */
export interface ChildOptions {
  /** The program: a module that Node.js can run, as `fork` of `node:child_process` takes it. */
  module: string | URL
  /** Its arguments. Default: none. */
  args?: readonly string[]
  /** Arguments of Node.js itself. Default: those of this process. */
  execArgv?: readonly string[]
  /** Variables of its environment beside those of this process. */
  env?: Readonly<Record<string, string | undefined>>
  /** When it is started again. Default: `on-failure`. */
  restart?: Restart
  /** Restarts within `window`; the next failure after that is the last: the supervisor gives up. Default: 5. */
  max?: number
  /** The time in which restarts are counted, in ms, or Infinity. Default: 60 000. */
  window?: number
  /** How long to wait before a restart. */
  backoff?: BackoffOptions
  /** Time from its start to its call of `ready()`, in ms; then it is killed, which is a failure. Default: Infinity. */
  startTimeout?: number
  /**
   * Time from `ready()`, or from one `progress()` to the next, in ms; up to a quarter later it is killed. A process of a flow calls both by
   * itself, as long as its event loop turns. Default: Infinity.
   */
  stallTimeout?: number
  /** Time to end after it has been asked to, in ms; then it is killed. Default: 10 000. */
  stopTimeout?: number
  /**
   * Where its output goes: where that of this process does, nowhere, or line by line to the event `output`. A detached child must not write to
   * a pipe that ends with its supervisor: that would be an error of its own. Default: `inherit`.
   */
  stdio?: Stdio
  /** It goes on without its supervisor, and does not hear the signals of its terminal. Default: false. */
  detached?: boolean
}

/** @internal */
export const CHILD_OPTIONS: OptionNames<ChildOptions> = {
  module: true,
  args: true,
  execArgv: true,
  env: true,
  restart: true,
  max: true,
  window: true,
  backoff: true,
  startTimeout: true,
  stallTimeout: true,
  stopTimeout: true,
  stdio: true,
  detached: true,
}
const BACKOFF_OPTIONS: OptionNames<BackoffOptions> = { initial: true, factor: true, max: true, jitter: true }

/** @internal Options with their defaults, checked. */
export interface CheckedOptions {
  module: string | URL
  args: readonly string[]
  execArgv: readonly string[] | undefined
  env: Readonly<Record<string, string | undefined>>
  restart: Restart
  max: number
  window: number
  backoff: Required<BackoffOptions>
  startTimeout: number
  stallTimeout: number
  stopTimeout: number
  stdio: Stdio
  detached: boolean
}

/** @internal @throws `MillraceError` `ERR_MILLRACE_INVALID_ARGUMENT`, which names child and option. */
export function checkChildOptions(name: string, options: ChildOptions): CheckedOptions {
  const what = (option: string) => `${option} of child "${name}"`
  const given = checkOptions(`child "${name}"`, options, CHILD_OPTIONS)
  const { module, args = [], execArgv, env = {}, restart = 'on-failure', max = 5, detached = false } = given
  const { window = 60_000, startTimeout, stallTimeout, stopTimeout = 10_000, backoff = {}, stdio = 'inherit' } = given
  if (detached && stdio === 'pipe') {
    throw misuse(`stdio of child "${name}" is "pipe", which ends with its supervisor, and the child is detached`)
  }
  return {
    module: checkModule(what('module'), module),
    args: checkTexts(what('args'), args),
    execArgv: execArgv === undefined ? undefined : checkTexts(what('execArgv'), execArgv),
    env: checkObject(what('env'), env),
    restart: RESTARTS[checkWord(what('restart'), restart, RESTARTS)]!,
    max: checkInteger(what('max'), max, 0, Number.MAX_SAFE_INTEGER),
    window: checkTimeout(what('window'), window),
    backoff: checkBackoff(what, checkOptions(what('backoff'), backoff, BACKOFF_OPTIONS)),
    startTimeout: checkTimeout(what('startTimeout'), startTimeout),
    stallTimeout: checkTimeout(what('stallTimeout'), stallTimeout),
    stopTimeout: checkTimeout(what('stopTimeout'), stopTimeout),
    stdio: STDIOS[checkWord(what('stdio'), stdio, STDIOS)]!,
    detached: checkBoolean(what('detached'), detached),
  }
}

function checkBackoff(what: (option: string) => string, backoff: BackoffOptions): Required<BackoffOptions> {
  const { initial = 100, factor = 2, max = 10_000, jitter = 0.1 } = backoff
  return {
    initial: checkWithin(what('backoff.initial'), initial, 0, MAX_TIMEOUT_MS),
    factor: checkWithin(what('backoff.factor'), factor, 1, Number.MAX_VALUE),
    max: checkWithin(what('backoff.max'), max, 0, MAX_TIMEOUT_MS),
    jitter: checkWithin(what('backoff.jitter'), jitter, 0, 1),
  }
}

/** @throws unless there is such a program. Where Node.js looks for it, that it was not there would be said on the output of the child alone. */
function checkModule(what: string, module: string | URL): string | URL {
  const isFile = !(module instanceof URL) || module.protocol === 'file:'
  if (!isFile) return module
  const path = module instanceof URL ? fileURLToPath(module) : resolve(checkText(what, module))
  try {
    createRequire(path).resolve(path)
  } catch {
    throw invalidArgument(what, 'a program that exists', path)
  }
  return module
}

function checkWithin(what: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw invalidArgument(what, `a number from ${min} to ${max}`, value)
}

function checkTexts(what: string, value: unknown): readonly string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return [...value]
  throw invalidArgument(what, 'an array of texts', value)
}
