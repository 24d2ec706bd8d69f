import { Buffer } from 'node:buffer'
import { types } from 'node:util'
import v8 from 'node:v8'
import { MillraceError } from '../errors.js'

// Structured clones as bytes. V8's format is stable but for one thing: Node.js 20 writes the cause of an Error before its stack, which later
// versions take for damage. Bun has a format of its own, in which errors lose their causes. So on both causes are taken out of errors and
// written beside them. What V8 has written Bun cannot read, nor the other way round.

/** First byte of what has causes beside. */
const CAUSES_BESIDE = 0xca
/** First byte of V8's format, before its version. */
const V8_VERSION = 0xff
/** What follows on the same byte where Bun has written a Buffer: no version of V8. */
const BUN = 'B'.charCodeAt(0)

/** An Error with a cause as this version of V8 writes it: version, tag of an error, message `m`, then cause or stack. */
const probe = v8.serialize(new Error('m', { cause: 0 }))
const TAG_CAUSE = 'c'.charCodeAt(0)
const causeFirst = probe[probe.indexOf('m', probe.indexOf('m') + 1) + 1] === TAG_CAUSE

/** Whether this runtime writes the format of V8, and reads no other. */
export const hasFormatOfV8 = isOfV8(probe)

/** What an error with a cause is written as in any case. V8: its tag, perhaps one for its class, then the message or the cause. Bun: its tag. */
const MAY_HAVE_CAUSE = hasFormatOfV8 ? /r[A-Z]?[mc]/ : /7/

function isOfV8(bytes: Uint8Array): boolean {
  const at = bytes[0] === CAUSES_BESIDE ? 1 : 0
  return bytes[at] === V8_VERSION && bytes[at + 1] !== BUN
}

/** Bytes that {@link deserialize} makes a clone of `value` of. @throws what cannot be cloned */
export function serialize(value: unknown): Buffer {
  const bytes = v8.serialize(value)
  if ((hasFormatOfV8 && !causeFirst) || !MAY_HAVE_CAUSE.test(bytes.toString('latin1'))) return bytes
  const errors = new Map<Error, PropertyDescriptor>()
  findCauses(value, errors, new Set())
  return errors.size === 0 ? bytes : writeBeside(value, errors)
}

/**
 * The value that {@link serialize} wrote. Typed arrays in it are views of `bytes`, which must be the caller's own.
 * @throws {@link MillraceError} `ERR_MILLRACE_DECODE` if a runtime with another format wrote it
 */
export function deserialize(bytes: Uint8Array): unknown {
  if (isOfV8(bytes) !== hasFormatOfV8) {
    const message = `a value of ${bytes.length} bytes is not in the format of codec "v8" here: Bun has one of its own, while "msgpack" and "json" are the same everywhere`
    throw new MillraceError('ERR_MILLRACE_DECODE', message)
  }
  if (bytes[0] !== CAUSES_BESIDE) return v8.deserialize(bytes)
  const [value, errors, causes] = v8.deserialize(bytes.subarray(1)) as [unknown, Error[], unknown[]]
  for (const [i, error] of errors.entries()) {
    Object.defineProperty(error, 'cause', { value: causes[i], writable: true, configurable: true })
  }
  return value
}

/** Collects the errors in `value` that have a cause of their own. What getters return is not looked at: it may be another each time. */
function findCauses(value: unknown, errors: Map<Error, PropertyDescriptor>, seen: Set<object>): void {
  const open = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next !== 'object' || next === null || seen.has(next) || ArrayBuffer.isView(next)) continue
    seen.add(next)
    if (types.isMap(next)) for (const [key, item] of next) open.push(key, item)
    else if (types.isSet(next)) open.push(...next)
    const properties = Object.getOwnPropertyDescriptors(next) as Record<string, PropertyDescriptor>
    for (const property of Object.values(properties)) open.push(property.value)
    const { cause } = properties
    if (types.isNativeError(next) && cause?.configurable) errors.set(next, cause)
  }
}

/** `value` and its errors, without their causes, and these. One after the other would lose what is the same in both. */
function writeBeside(value: unknown, errors: Map<Error, PropertyDescriptor>): Buffer {
  const causes = Array.from(errors.keys(), (error) => error.cause)
  try {
    for (const error of errors.keys()) delete error.cause
    return Buffer.concat([Buffer.of(CAUSES_BESIDE), v8.serialize([value, [...errors.keys()], causes])])
  } finally {
    for (const [error, property] of errors) Object.defineProperty(error, 'cause', property)
  }
}
