import { Buffer } from 'node:buffer'
import { MillraceError, show } from '../errors.js'
import { bytesCodec } from './codec.js'
import type { NamedCodec } from './types.js'

/** So many of the first bytes of what cannot be decoded are shown: enough to tell the format. */
const SHOWN_BYTES = 8

/** `codec`, for `what`, such as `a value of queue "jobs"`: when it cannot decode something, the error says so of that. */
export function decodingOf<T>(what: string, codec: NamedCodec<T>): NamedCodec<T> {
  // Bytes are what they are, and are told by this object.
  if ((codec as NamedCodec<unknown>) === bytesCodec) return codec
  const decode = (bytes: Uint8Array) => {
    try {
      return codec.decode(bytes)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : show(cause)
      const message = `${what} cannot be decoded by codec "${codec.name}": ${why} (${begin(bytes)})`
      throw new MillraceError('ERR_MILLRACE_DECODE', message, { cause })
    }
  }
  return { ...codec, decode }
}

function begin(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'no bytes'
  const first = Buffer.from(bytes.slice(0, SHOWN_BYTES))
    .toString('hex')
    .replace(/..(?=.)/g, '$& ')
  return `${bytes.length} ${bytes.length === 1 ? 'byte' : 'bytes'}, ${first}${bytes.length > SHOWN_BYTES ? ' …' : ''}`
}
