import { Buffer } from 'node:buffer'
import { types } from 'node:util'
import { invalidArgument, show } from '../errors.js'
import { hasFormatOfV8 } from './structured.js'
import type { CodecName, ValueCodecName } from './types.js'

// Objects that stand for something in the domain, a BufferPtr for one, cannot be copied as values: a codec would write their public numbers
// and nobody would hear of it. To look for them in every value would cost as much as encoding it, so encoding itself tells of them.

/** One for all copies of this package: a process may have loaded two, as a module and by require(). */
const NOT_A_VALUE = Symbol.for('millrace.not-a-value')
const COUNT = Symbol.for('millrace.not-a-value.count')

/** How many of them JSON.stringify and msgpackr have met, in this realm. */
const met = ((globalThis as Record<symbol, unknown>)[COUNT] ??= { count: 0 }) as { count: number }

/** What V8, or Bun, writes of those that it does not refuse: an object, and that it has no properties. */
const NO_PROPERTIES = Buffer.from(hasFormatOfV8 ? '{\0' : '\u0002\u00ff', 'latin1')
/** To look through so many bytes is cheaper than to call native code for it. */
const FEW = 64

/**
 * Says of a class that its objects cannot be copied as values. All its enumerable properties must be on the prototype, unless V8 refuses
 * one of them. `refuse` throws when JSON is made of one outside of a codec.
 */
export function isNoValue(type: { readonly prototype: object }, refuse?: (object: object) => never): void {
  const asked = function toJSON(this: object): object {
    met.count++
    return refuse === undefined ? this : refuse(this)
  }
  Object.defineProperty(type.prototype, NOT_A_VALUE, { value: true })
  Object.defineProperty(type.prototype, 'toJSON', { value: asked, configurable: true, writable: true })
}

/** Whether `value` is an object of such a class, of whatever copy of this package. */
export function isMarkedNoValue(value: unknown): value is object {
  return typeof value === 'object' && value !== null && NOT_A_VALUE in value
}

/** What `encode` makes of `value`, by a library that asks every object for its `toJSON`. @throws if there was one that is no value. */
export function encodeAsking<T>(codec: ValueCodecName, value: unknown, encode: (value: unknown) => T): T {
  const before = met.count
  let encoded: T | undefined
  try {
    encoded = encode(value)
  } catch (error) {
    if (met.count === before) throw error
  }
  if (met.count !== before) throw refusal(codec, findIn(value))
  return encoded as T
}

/** What `serialize`, that of the runtime, makes of `value`. @throws if there was an object in it that is no value. */
export function encodeCloning(value: unknown, serialize: (value: unknown) => Buffer): Buffer {
  let bytes: Buffer | undefined
  let failure: unknown
  try {
    bytes = serialize(value)
    if (typeof value !== 'object' || !maySayNoValue(bytes)) return bytes
  } catch (error) {
    failure = error
  }
  const found = findIn(value)
  if (found !== undefined) throw refusal('v8', found)
  if (bytes === undefined) throw failure
  return bytes
}

function maySayNoValue(bytes: Buffer): boolean {
  if (bytes.length > FEW) return bytes.includes(NO_PROPERTIES)
  for (let i = 1; i < bytes.length; i++) {
    if (bytes[i] === NO_PROPERTIES[1] && bytes[i - 1] === NO_PROPERTIES[0]) return true
  }
  return false
}

/** An object that is no value, and how one comes to it. */
interface Found {
  readonly path: string
  readonly object: object
}

function refusal(codec: ValueCodecName, found: Found | undefined): Error {
  return noValue(codec, found?.object ?? 'what a toJSON() returned', found?.path)
}

/** The error of `object`, which was put, by itself or at `path` of a value, and is none. */
export function noValue(codec: CodecName, object: unknown, path = ''): Error {
  const what = path === '' ? `a value for codec "${codec}"` : `value${path} for codec "${codec}"`
  return invalidArgument(what, 'data: send() passes buffers on, put() copies values', object)
}

/** Where in `value` the first object is that is no value. */
function findIn(value: unknown): Found | undefined {
  const seen = new Set<unknown>()
  const open: [path: string, value: unknown][] = [['', value]]
  // An array that grows while it is walked: breadth first, so that the path is a short one.
  for (const [path, object] of open) {
    if (typeof object !== 'object' || object === null || seen.has(object) || ArrayBuffer.isView(object)) continue
    seen.add(object)
    if (NOT_A_VALUE in object) return { path, object }
    if (types.isMap(object))
      for (const [key, item] of object) open.push([`${path}.keys()`, key], [`${path}.get(${show(key)})`, item])
    if (types.isSet(object)) for (const item of object) open.push([`${path}.values()`, item])
    for (const [key, item] of Object.entries(object)) open.push([`${path}${step(key)}`, item])
    if (types.isNativeError(object)) open.push([`${path}.cause`, object.cause])
  }
  return undefined
}

function step(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${/^\d+$/.test(key) ? key : JSON.stringify(key)}]`
}
