import { HEADER_LENGTH } from '../native/generated/layout.js'
import type { BindingManager } from '../native/native.js'
import type { AllMessages, Messages } from './messages.js'

const LOW = 0xffff_ffffn
const HIGH = 32n

/** Messages where JavaScript cannot see shared memory: bytes are copied out and in, and headers are read and written by native code. */
export class CopiedMessages implements AllMessages, Messages {
  readonly #call: <T>(operation: (native: BindingManager) => T) => T

  constructor(session: { call<T>(operation: (native: BindingManager) => T): T }) {
    this.#call = (operation) => session.call(operation)
  }

  of(): Messages {
    return this
  }

  close(): void {}

  capacity(id: number): number {
    return this.#call((native) => native.messageCapacity(id))
  }

  length(id: number): number {
    return Math.min(this.word(id, HEADER_LENGTH), this.capacity(id))
  }

  setLength(id: number, length: number): void {
    this.setWord(id, HEADER_LENGTH, length)
  }

  view(id: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(
      this.#call((native) => native.ownView(id)),
      0,
      this.length(id),
    )
  }

  setText(id: number, text: string): void {
    this.setBytes(id, Buffer.from(text))
  }

  setBytes(id: number, bytes: Uint8Array): void {
    this.#call((native) => native.writeMessage(id, bytes))
    this.setLength(id, bytes.length)
  }

  setBy(id: number, room: number, write: (target: Uint8Array<ArrayBuffer>) => number | undefined): boolean {
    const target = new Uint8Array(room)
    const written = write(target)
    if (written === undefined) return false
    this.setBytes(id, target.subarray(0, written))
    return true
  }

  word(id: number, field: number): number {
    return this.#call((native) => native.headerWord(id, field))
  }

  setWord(id: number, field: number, value: number): void {
    this.#call((native) => native.setHeaderWord(id, field, value))
  }

  // A long is two words, the low one first: Millrace runs on little-endian machines only.

  long(id: number, field: number): bigint {
    return BigInt(this.word(id, 2 * field)) | (BigInt(this.word(id, 2 * field + 1)) << HIGH)
  }

  setLong(id: number, field: number, value: bigint): void {
    this.setWord(id, 2 * field, Number(value & LOW))
    this.setWord(id, 2 * field + 1, Number(value >> HIGH))
  }
}
