// Tables for people.

/** A column: its heading, and what stands in it in each row. */
export type Column<R> = readonly [heading: string, cell: (row: R) => string | number | null]

/** Lines of a table, headings first; none without rows. Numbers, and what ends with a unit of them, to the right. */
export function table<R>(rows: readonly R[], columns: readonly Column<R>[]): string[] {
  if (rows.length === 0) return []
  const cells = rows.map((row) => columns.map(([, cell]) => cell(row) ?? '-'))
  const texts = [columns.map(([heading]) => heading), ...cells.map((row) => row.map(String))]
  const widths = columns.map((_, at) => Math.max(...texts.map((row) => row[at]!.length)))
  const toTheRight = columns.map((_, at) => cells.every((row) => isNumeric(row[at]!)))
  return texts.map((row) =>
    row
      .map((text, at) => (toTheRight[at]! ? text.padStart(widths[at]!) : text.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd(),
  )
}

/** Lines of a table under a title; none without rows. */
export function titled<R>(title: string, rows: readonly R[], columns: readonly Column<R>[]): string[] {
  const lines = table(rows, columns)
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)]
}

function isNumeric(cell: string | number): boolean {
  return typeof cell === 'number' || cell === '-' || /^[\d.]+ [\p{L}/]+$/u.test(cell)
}
