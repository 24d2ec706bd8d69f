import { invalidArgument, MillraceError, misuse, show } from './errors.js'
import { MAX_NAME_BYTES } from './native/generated/limits.js'

/** A number of bytes, or text such as `'512MiB'` (`B`, `KB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`, `TiB`, in capitals or not). */
export type Size = number | string

export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
/** Without a flag for case: JSON Schema has none. */
export const SIZE = /^(\d+(?:\.\d+)?) ?([Bb]|[KkMmGg][Bb]|[KkMmGgTt][Ii][Bb])$/
const UNITS: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
}

/** setTimeout's limit. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** @throws {@link MillraceError} `ERR_MILLRACE_INVALID_NAME` unless `name` may name a `what` (domain, queue, …). */
export function checkName(what: string, name: unknown, max = MAX_NAME_BYTES): string {
  if (typeof name === 'string' && name.length <= max && NAME.test(name)) return name
  throw new MillraceError('ERR_MILLRACE_INVALID_NAME', `${what} name must be ${nameRule(max)}, not ${show(name)}`)
}

/** What {@link NAME} allows, of at most `max` bytes. */
export function nameRule(max: number): string {
  return `1 to ${max} letters, digits, ".", "_" or "-", beginning with a letter or digit`
}

/** A whole number within bounds. */
export function checkInteger(what: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw invalidArgument(what, `a whole number from ${min} to ${max}`, value)
}

/** A {@link Size} in bytes, within bounds. */
export function checkSize(what: string, value: unknown, min: number, max: number): number {
  const match = typeof value === 'string' ? SIZE.exec(value) : null
  const bytes = match === null ? value : Math.round(Number(match[1]) * UNITS[match[2]!.toUpperCase()]!)
  if (typeof bytes === 'number' && Number.isInteger(bytes) && bytes >= min && bytes <= max) return bytes
  const units = 'B, KB, MB, GB, KiB, MiB, GiB or TiB'
  throw invalidArgument(what, `a number of bytes from ${min} to ${max}, or text such as "512MiB" (${units})`, value)
}

/** @throws unless `signal` is an AbortSignal or left out. */
export function checkSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw invalidArgument('signal', 'an AbortSignal', signal)
}

/** A time to wait in ms; infinite when left out. */
export function checkTimeout(what: string, value: unknown): number {
  if (value === undefined || value === Infinity) return Infinity
  if (typeof value === 'number' && value >= 0 && value <= MAX_TIMEOUT_MS) return value
  throw invalidArgument(what, `a number of milliseconds from 0 to ${MAX_TIMEOUT_MS}, or Infinity`, value)
}

/** @throws unless `value` is true or false. */
export function checkBoolean(what: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalidArgument(what, 'true or false', value)
}

/** @throws unless `value` is a function. */
export function checkFunction<F>(what: string, value: F): F {
  if (typeof value === 'function') return value
  throw invalidArgument(what, 'a function', value)
}

/** @throws unless `value` is an object, as options must be. */
export function checkObject<T>(what: string, value: T): T & object {
  if (typeof value === 'object' && value !== null) return value
  throw invalidArgument(what, 'an object', value)
}

/** The names of the options `T`, every one and no other: the compiler sees to that. */
export type OptionNames<T> = { readonly [Name in keyof Required<T>]: true }

/**
 * `options` of `what`. What they inherit may have any names: an AbortController is an object with a signal.
 * @throws unless they are an object, with options by these names only
 */
export function checkOptions<T extends object>(what: string, options: T, names: OptionNames<NoInfer<T>>): T {
  if (typeof options !== 'object' || options === null) throw invalidArgument(`options of ${what}`, 'an object', options)
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(names, name)) throw unknownOption(what, name, Object.keys(names))
  }
  return options
}

function unknownOption(what: string, name: string, names: readonly string[]): MillraceError {
  const meant = nearest(name, names)
  const help = meant === undefined ? `there are ${names.join(', ')}` : `did you mean ${show(meant)}?`
  return misuse(`${what} has no option ${show(name)}: ${help}`)
}

/** Wrong, missing and additional letters of a name that is taken for a misspelling, at most. */
const MISSPELLED_MAX = 2

/** The one of `names` that `name` is a misspelling of, whatever the case of its letters. */
function nearest(name: string, names: readonly string[]): string | undefined {
  const distances = names.map((known) => distance(name.toLowerCase(), known.toLowerCase()))
  const least = Math.min(...distances)
  return least <= MISSPELLED_MAX ? names[distances.indexOf(least)] : undefined
}

/** Letters to change, add or take away until `a` is `b` (Levenshtein), row by row. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (const [above, letter] of Array.from(a).entries()) {
    const next = [above + 1]
    for (let i = 0; i < b.length; i++) {
      next.push(Math.min(next[i]! + 1, row[i + 1]! + 1, row[i]! + Number(letter !== b[i])))
    }
    row = next
  }
  return row.at(-1)!
}

/** The position of `value` among the words allowed, which is how the addon names it. */
export function checkWord<T>(what: string, value: unknown, words: readonly T[]): number {
  const index = words.indexOf(value as T)
  if (index >= 0) return index
  throw invalidArgument(what, `one of ${words.map(show).join(', ')}`, value)
}

/** A text that is not empty, and that a path or name can be made of. */
export function checkText(what: string, value: unknown): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  throw invalidArgument(what, 'a text that is not empty', value)
}

/** Whether `value` has to be awaited: `await` calls the `then` of functions, too. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && 'then' in value
}
