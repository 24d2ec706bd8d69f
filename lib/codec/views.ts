import { types } from 'node:util'
import { invalidArgument } from '../errors.js'

/** Whether `value` is a Uint8Array, of whichever realm, and whatever its class says of it. */
export const isBytes: (value: unknown) => value is Uint8Array = types.isUint8Array

const TypedArray = Object.getPrototypeOf(Uint8Array.prototype) as object

/** The getter of every typed array. What a subclass or an own property calls `name` is not asked. */
function getterOf<V>(name: string): (view: Uint8Array) => V {
  const { get } = Object.getOwnPropertyDescriptor(TypedArray, name) as { get(this: void): unknown }
  return Function.prototype.call.bind(get) as (view: Uint8Array) => V
}

const realLength = getterOf<number>('length')
const realOffset = getterOf<number>('byteOffset')
const realBuffer = getterOf<ArrayBufferLike>('buffer')

/** Bytes of `view` now. Ask once for each copy: that of a view of a resizable buffer changes. */
export function lengthOf(view: Uint8Array): number {
  try {
    return realLength(view)
  } catch {
    throw invalidArgument('bytes', 'a Uint8Array', view)
  }
}

/** The first `length` bytes of `view`, in a view of that length whatever happens to the buffer. @throws if there are fewer by now */
export function prefixOf(view: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(realBuffer(view), realOffset(view), length)
}
