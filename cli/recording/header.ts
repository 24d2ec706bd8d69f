// What a message says beside its bytes, as JSON; what is as it is by itself is left out.
import type { BufferPtr } from '../../index.js'

/** Of a message. */
export type Header = Partial<Record<'sequence' | 'tag' | 'timestamp', string>> &
  Partial<Pick<BufferPtr, 'source' | 'typeId' | 'timestampKind'>>

export function headerOf({ sequence, source, tag, typeId, timestamp, timestampKind }: BufferPtr): Header {
  return {
    ...(sequence !== 0n && { sequence: `${sequence}` }),
    ...(source !== 0 && { source }),
    ...(tag !== 0n && { tag: `${tag}` }),
    ...(typeId !== 0 && { typeId }),
    ...(timestamp !== 0n && { timestamp: `${timestamp}`, timestampKind }),
  }
}

/** Gives `buffer` what `header` says. */
export function setHeader(buffer: BufferPtr, header: Header): void {
  const { sequence, source, tag, typeId, timestamp, timestampKind } = header
  if (sequence !== undefined) buffer.sequence = BigInt(sequence)
  if (source !== undefined) buffer.source = source
  if (tag !== undefined) buffer.tag = BigInt(tag)
  if (typeId !== undefined) buffer.typeId = typeId
  if (timestamp !== undefined) buffer.timestamp = BigInt(timestamp)
  if (timestampKind !== undefined) buffer.timestampKind = timestampKind
}
