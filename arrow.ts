/**
 * Apache Arrow tables in shared memory, for those who have installed `apache-arrow`.
 * @module millrace/arrow
 */
import {
  AsyncByteQueue,
  type Data,
  DataType,
  RecordBatch,
  RecordBatchStreamWriter,
  Table,
  tableFromIPC,
  type TypeMap,
} from 'apache-arrow'
import type { BufferPtr } from './lib/memory/buffer-ptr.js'
import type { Codec, EncodedWriter } from './lib/codec/codec.js'
import { invalidArgument, MillraceError } from './lib/errors.js'

/** What {@link writeTable} needs of a `ShmManager`, or of its allocator. */
export interface BufferSource {
  /** A buffer of so many bytes. */
  allocate(bytes: number): BufferPtr
}

/**
 * Writes `table` once, in Arrow's streaming format, into a buffer of shared memory, to be sent or released. Its columns are
 * copied straight from where they lie.
 * @throws `MillraceError` as `allocate` does; `ERR_MILLRACE_INVALID_ARGUMENT` for a table of another copy of `apache-arrow`
 */
export function writeTable<T extends TypeMap>(source: BufferSource, table: Table<T> | RecordBatch<T>): BufferPtr {
  if (typeof (source as Partial<BufferSource> | null)?.allocate !== 'function') {
    throw invalidArgument(
      'where a table is written',
      'a ShmManager or an allocator: queue.send(writeTable(shm, table))',
      source,
    )
  }
  const encoded = encode(table)
  const buffer = source.allocate(encoded.byteLength)
  try {
    encoded.write(buffer.bytes)
  } catch (error) {
    buffer.release()
    throw error
  }
  return buffer
}

/**
 * The table that `message` holds, without copy: its columns are views of shared memory. Neither it nor anything taken from it
 * may be used after the message was released.
 */
export function tableOf<T extends TypeMap>(message: BufferPtr): Table<T> {
  const bytes: unknown = (message as Partial<BufferPtr> | null)?.bytes
  if (!(bytes instanceof Uint8Array)) {
    const rule = 'a message that was received; of bytes, tableFromIPC() of apache-arrow makes a table'
    throw invalidArgument('what a table is read from', rule, message)
  }
  return decode<T>(bytes)
}

/**
 * Codec `arrow`: `put` writes a table once, straight into the buffer that is sent. `get` returns a copy, which may be kept;
 * `tableOf(await queue.receive())` a view.
 */
export const arrowCodec: Codec<Table> = {
  name: 'arrow',
  encode,
  decode: (bytes) => decode(bytes.slice()),
}

/** How Arrow's streaming format begins. */
const MARK = [0xff, 0xff, 0xff, 0xff]

/** @throws {@link MillraceError} `ERR_MILLRACE_DECODE` unless `bytes` are a table in Arrow's streaming format */
function decode<T extends TypeMap>(bytes: Uint8Array): Table<T> {
  try {
    const table = tableFromIPC<T>(bytes)
    // What is no stream at all is read as a table of nothing.
    if (table.schema.fields.length > 0 || MARK.every((byte, i) => bytes[i] === byte)) return table
  } catch (cause) {
    throw noTable(bytes, cause)
  }
  throw noTable(bytes)
}

function noTable(bytes: Uint8Array, cause?: unknown): MillraceError {
  const message = `a message of ${bytes.length} bytes is no Arrow table: write it by writeTable(), or put() with arrowCodec`
  return new MillraceError('ERR_MILLRACE_DECODE', message, { cause })
}

/** Takes what a writer writes as it is: columns by reference. */
class Parts extends AsyncByteQueue {
  readonly list: Uint8Array[] = []
  bytes = 0

  override write(part: ArrayBufferView): void {
    if (part.byteLength === 0) return
    this.list.push(new Uint8Array(part.buffer, part.byteOffset, part.byteLength))
    this.bytes += part.byteLength
  }
}

const RULE =
  'a Table or RecordBatch of the copy of "apache-arrow" that millrace/arrow imports: install one copy, and load both by import, or both by require()'

/**
 * Whether all of `table` was made by the copy of Arrow that this module imports. Tables of another copy are instances of ours, too, but
 * their types are not, and what is written of columns whose types are unknown cannot be read.
 */
function isOurs(table: Table): boolean {
  const types = table.schema.fields.map(({ type }) => type as unknown)
  return types.every((type) => type instanceof DataType) && table.batches.every(({ data }) => isOurData(data))
}

function isOurData({ type, children = [], dictionary }: Partial<Data>): boolean {
  return (type as unknown) instanceof DataType && children.every(isOurData) && (dictionary?.data ?? []).every(isOurData)
}

function encode<T extends TypeMap>(value: Table<T> | RecordBatch<T>): EncodedWriter {
  const table = value instanceof RecordBatch ? new Table([value]) : value
  if (!(table instanceof Table)) {
    throw invalidArgument('what is written by Arrow', 'a Table or RecordBatch, such as tableFromArrays() makes', value)
  }
  if (!isOurs(table)) throw invalidArgument('what is written by Arrow', RULE, value)
  const parts = new Parts()
  new RecordBatchStreamWriter<T>().reset(parts).writeAll(table)
  return {
    byteLength: parts.bytes,
    write(target) {
      let offset = 0
      for (const part of parts.list) {
        target.set(part, offset)
        offset += part.length
      }
    },
  }
}
