import { CELL_SHIFT } from '../native/generated/layout.js'

/** Messages in shared memory, by their ids: whoever asks holds them. */
export interface Messages {
  /** Bytes message `id` has room for. */
  capacity(id: number): number
  /** Bytes of message `id` in use, never more than it has room for. */
  length(id: number): number
  setLength(id: number, length: number): void
  /** The bytes of message `id` in use. */
  view(id: number): Uint8Array<ArrayBuffer>
  /** Makes `text` the content of message `id`, which has room for it. */
  setText(id: number, text: string): void
  /** Makes `bytes` the content of message `id`, which has room for them. */
  setBytes(id: number, bytes: Uint8Array): void
  /** Makes the content of message `id` what `write` puts into the `room` bytes it is given, as many as it returns; undefined: none. */
  setBy(id: number, room: number, write: (target: Uint8Array<ArrayBuffer>) => number | undefined): boolean
  /** Word `field` of its header. */
  word(id: number, field: number): number
  setWord(id: number, field: number, value: number): void
  /** 64 bits of its header. */
  long(id: number, field: number): bigint
  setLong(id: number, field: number, value: bigint): void
}

/** Whether message `id` shares its buffer, and so its count of references, with others. */
export function isCell(id: number): boolean {
  return id >>> CELL_SHIFT !== 0
}

/** All messages of a participant. */
export interface AllMessages {
  /** Those that lie where message `id` does. */
  of(id: number): Messages
  /** The manager has been closed. */
  close(): void
}
