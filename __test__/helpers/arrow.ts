import { type Data, type Table, tableFromArrays } from 'apache-arrow'

/** A table with a column of every sort that matters: numbers of several widths, text, text in a dictionary, gaps. */
export function ticks(rows: number) {
  const indices = Array.from({ length: rows }, (_, i) => i)
  return tableFromArrays({
    price: Float64Array.from(indices, (i) => i / 4),
    volume: Int32Array.from(indices, (i) => i * 3),
    time: BigInt64Array.from(indices, (i) => BigInt(i) * 1_000_000_000n),
    flag: Uint8Array.from(indices, (i) => i & 1),
    venue: indices.map((i) => (i % 5 === 0 ? null : `venue ${i % 7}`)),
  })
}

/** Every piece of memory that the columns of `table` lie in. */
export function memoryOf(table: Table): ArrayBufferView[] {
  const ofData = (data: Data): ArrayBufferView[] => [
    ...(Object.values(data.buffers) as (ArrayBufferView | undefined)[]).filter((view) => view !== undefined),
    ...data.children.flatMap(ofData),
    ...(data.dictionary?.data.flatMap(ofData) ?? []),
  ]
  return table.batches.flatMap((batch) => ofData(batch.data)).filter((view) => view.byteLength > 0)
}

/** Rows as text, which is comparable. */
export function rowsOf(table: Table): string {
  return JSON.stringify(table.toArray(), (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
}
