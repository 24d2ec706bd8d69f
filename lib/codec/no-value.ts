import { Buffer } from 'node:buffer'
import { types } from 'node:util'
import { invalidArgument, show } from '../errors.js'
import type { ValueCodecName } from './types.js'

// Objects that stand for something in the domain, a BufferPtr for one, cannot be copied as values: a codec would write their public numbers
// and nobody would hear of it. To look for them in every value would cost as much as encoding it, so encoding itself tells of them.

/** One for all copies of this package: a process may have loaded two, as a module and by require(). */
const NOT_A_VALUE = Symbol.for('millrace.not-a-value')
const COUNT = Symbol.for('millrace.not-a-value.count')

/** How many of them JSON.stringify and msgpackr have met, in this realm. */
const met = ((globalThis as Record<symbol, unknown>)[COUNT] ??= { count: 0 }) as { count: number }

/** What V8 writes of them: of a BufferPtr a key, of others that an object has no properties. */
const KEY = Buffer.from('\x07attempt')
const NO_PROPERTIES = Buffer.from('{\0')
/** To look through so many bytes is cheaper than to call native code for it. */
const FEW = 64

function toJSON(this: object): object {
  met.count++
  return this
}

/** Says of a class that its objects cannot be copied as values. All its enumerable properties must be on the prototype, or `attempt`. */
export function isNoValue(type: { readonly prototype: object }): void {
  Object.defineProperty(type.prototype, NOT_A_VALUE, { value: true })
  Object.defineProperty(type.prototype, 'toJSON', { value: toJSON, configurable: true, writable: true })
}

/** What `encode` makes of `value`, by a library that asks every object for its `toJSON`. @throws if there was one that is no value. */
export function encodeAsking<T>(codec: ValueCodecName, value: unknown, encode: (value: unknown) => T): T {
  const before = met.count
  const encoded = encode(value)
  if (met.count !== before) throw refusal(codec, findIn(value))
  return encoded
}

/** @throws if `value`, of which V8 wrote `bytes`, has an object in it that is no value. */
export function checkWritten(value: unknown, bytes: Buffer): void {
  if (typeof value !== 'object' || !maySayNoValue(bytes)) return
  const found = findIn(value)
  if (found !== undefined) throw refusal('v8', found)
}

function maySayNoValue(bytes: Buffer): boolean {
  if (bytes.length > FEW) return bytes.includes(KEY) || bytes.includes(NO_PROPERTIES)
  for (let i = 1; i < bytes.length; i++) {
    if (bytes[i] === NO_PROPERTIES[1] && bytes[i - 1] === NO_PROPERTIES[0]) return true
    if (bytes[i] === KEY[1] && bytes[i - 1] === KEY[0]) return true
  }
  return false
}

/** An object that is no value, and how one comes to it. */
interface Found {
  readonly path: string
  readonly object: object
}

function refusal(codec: ValueCodecName, found: Found | undefined): Error {
  const what = found?.path ? `value${found.path} for codec '${codec}'` : `a value for codec '${codec}'`
  return invalidArgument(
    what,
    'data: send() passes buffers on, put() copies values',
    found?.object ?? 'what a toJSON() returned',
  )
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
