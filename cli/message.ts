// Messages as people and programs read them.
import type { Option } from './command.js'

/** How bytes are shown. */
export const FORMATS = ['text', 'json', 'hex'] as const
export type Format = (typeof FORMATS)[number]

/** The option that says it. */
export const FORMAT_OPTION: Option = {
  value: FORMATS.join('|'),
  values: FORMATS,
  summary: 'how to show bytes; default: text',
}

/** A value, or the bytes of a message, as something that JSON has. Bytes that are not what they should be are shown as text. */
export function plain(value: unknown, format: Format): unknown {
  if (!(value instanceof Uint8Array)) return value
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (format === 'hex') return bytes.toString('hex')
  const text = bytes.toString()
  return format === 'json' ? parsedOr(text) : text
}

/** A line that shows it. */
export function line(value: unknown, format: Format): string {
  const shown = plain(value, format)
  return typeof shown === 'string' && format !== 'json' ? shown : json(shown)
}

/** JSON on one line; what JSON has not becomes a text. */
export function json(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? `${one}` : one)) ?? 'undefined'
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
