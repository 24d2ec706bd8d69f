// What every command shares: its shape, how it takes its arguments, and how it is explained.
import { parseArgs, type ParseArgsConfig } from 'node:util'

/** An option of a command. */
export interface Option {
  /** What follows it, as the help shows it; none: nothing does. */
  readonly value?: string
  /** Every value there is, for completion. */
  readonly values?: readonly string[]
  readonly summary: string
}

/** A command of the command line tool. */
export interface Command {
  readonly name: string
  /** Its arguments as the help shows them: `<one>`, `[perhaps one]`, `[any…]`. */
  readonly parameters: readonly string[]
  /** Its own options; every command has {@link COMMON_OPTIONS}. */
  readonly options: Readonly<Record<string, Option>>
  readonly summary: string
  /** Runs it; returns the exit code: 0 all is well, 1 something is off. `commands`: all there are. */
  readonly run: (args: Arguments, commands: readonly Command[]) => number | Promise<number>
}

/** Options of every command. */
export const COMMON_OPTIONS = {
  json: { summary: 'the result as JSON' },
  directory: {
    value: '<path>',
    summary: 'directory that holds domains, instead of MILLRACE_DIR or the system’s',
  },
} as const satisfies Record<string, Option>

/** The exit code when messages have been lost. */
export const EXIT_LOST = 3

/** The arguments are wrong. */
export class UsageError extends Error {}

/** What the arguments say. */
export interface Arguments {
  readonly positionals: readonly string[]
  /** Where domains are, as the options of the library take it. */
  readonly where: { directory?: string }
  readonly json: boolean
  /** Values of the command's own options. */
  readonly values: Readonly<Record<string, string | undefined>>
  /** The options given that have no value. */
  readonly flags: ReadonlySet<string>
}

/** Takes the arguments of `command` apart. */
export function take({ parameters, options }: Command, args: string[]): Arguments {
  const known: ParseArgsConfig['options'] = {}
  for (const [name, { value }] of Object.entries<Option>({ ...options, ...COMMON_OPTIONS })) {
    known[name] = { type: value === undefined ? 'boolean' : 'string' }
  }
  const { values, positionals } = parsed(() => parseArgs({ args, options: known, allowPositionals: true }))
  checkCount(parameters, positionals)
  const given = Object.entries(values)
  const texts = Object.fromEntries(given.filter((one): one is [string, string] => typeof one[1] === 'string'))
  const { directory, ...own } = texts
  const flags = new Set(given.filter(([, value]) => value === true).map(([name]) => name))
  return {
    positionals,
    where: directory === undefined ? {} : { directory },
    json: flags.has('json'),
    values: own,
    flags,
  }
}

/** Name, arguments and options of `command`, on a line. */
export function usageOf({ name, parameters, options }: Command): string {
  const own = Object.entries(options).map(([option, { value }]) =>
    value === undefined ? `[--${option}]` : `[--${option} ${value}]`,
  )
  return [name, ...parameters, ...own].join(' ')
}

/** A number of milliseconds given as an option. */
export function milliseconds(name: string, text: string | undefined): number | undefined {
  return numberOf(text, (value) => value >= 0, `--${name} must be a number of milliseconds`)
}

/** A count of at least 1 given as an option. */
export function count(name: string, text: string | undefined): number | undefined {
  return numberOf(text, (value) => Number.isInteger(value) && value >= 1, `--${name} must be a whole number from 1 on`)
}

/** A number above 0 given as an option. */
export function factor(name: string, text: string | undefined): number | undefined {
  return numberOf(text, (value) => value > 0, `--${name} must be a number above 0`)
}

/** One of `words` given as an option. */
export function word<W extends string>(name: string, text: string | undefined, words: readonly W[]): W | undefined {
  const found = words.find((each) => each === text)
  if (text === undefined || found !== undefined) return found
  throw new UsageError(`--${name} must be one of ${words.join(', ')}, not ${JSON.stringify(text)}`)
}

function numberOf(text: string | undefined, isRight: (value: number) => boolean, rule: string): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() !== '' && isRight(value)) return value
  throw new UsageError(`${rule}, not ${JSON.stringify(text)}`)
}

function checkCount(parameters: readonly string[], { length }: readonly string[]): void {
  const least = parameters.filter((parameter) => parameter.startsWith('<')).length
  const most = parameters.some((parameter) => parameter.includes('…')) ? Infinity : parameters.length
  if (length >= least && length <= most) return
  const needed = least === most ? `${least}` : most === Infinity ? `at least ${least}` : `${least} to ${most}`
  throw new UsageError(`${needed} arguments are needed, not ${length}`)
}

function parsed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
