// Tables for people.

/** A column: its heading, and what stands in it in each row. */
export type Column<R> = readonly [heading: string, cell: (row: R) => string | number | null]

/** Lines of a table, headings first; none without rows. Numbers, and what ends with a unit of them, to the right. */
export function table<R>(rows: readonly R[], columns: readonly Column<R>[]): string[] {
  if (rows.length === 0) return []
  const cells = rows.map((row) => columns.map(([, cell]) => cell(row) ?? '-'))
  const texts = [columns.map(([heading]) => heading), ...cells.map((row) => row.map((cell) => printable(`${cell}`)))]
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
  return underTitle(title, table(rows, columns))
}

/** `lines` under a title; none without lines. */
export function underTitle(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)]
}

/** `text` without what a terminal would obey: names of participants are whatever they have said. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '�')
}

function isNumeric(cell: string | number): boolean {
  return typeof cell === 'number' || cell === '-' || /^[\d.]+ [\p{L}/]+$/u.test(cell)
}
