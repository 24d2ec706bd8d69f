import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's root. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

/** A block of code in a document, and what its readers do not see. */
export interface Block {
  /** File and line, for messages. */
  where: string
  /** Of the section that it is in, or of the document. */
  heading: string
  code: string
  /** `<!-- before … -->` above it: what the block takes for granted. */
  before: string
  /** `<!-- after … -->` below it: what it must have come to. */
  after: string
}

const BLOCK = /(?:<!-- before\n(.*?)-->\n+)?^```(?:js|ts)\n(.*?)^```$(?:\n+<!-- after\n(.*?)-->)?/gms

/** Text of a file of the project. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** Every block of JavaScript or TypeScript in the document at `path`. */
export function blocksOf(path: string): Block[] {
  const text = textOf(path)
  return [...text.matchAll(BLOCK)].map(({ index, 1: before = '', 2: code = '', 3: after = '' }) => {
    const above = text.slice(0, index)
    const heading = [...above.matchAll(/^## (.*)$/gm)].at(-1)?.[1] ?? /^# (.*)$/m.exec(text)![1]!
    return { where: `${path}:${above.split('\n').length}`, heading, code, before, after }
  })
}

/** Paths of every document that people wrote or read. */
export function documents(): string[] {
  return ['', 'docs', 'examples'].flatMap(documentsIn)
}

function documentsIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: folder === 'docs', withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map(({ parentPath, name }) => relative(ROOT, join(parentPath, name)))
}

/** Cells of the rows of the table below the heading row that contains `heading`. */
export function tableOf(path: string, heading: string): string[][] {
  const lines = textOf(path).split('\n')
  const start = lines.findIndex((line) => line.startsWith('|') && line.includes(heading))
  if (start < 0) throw new Error(`no table with heading '${heading}' in ${path}`)
  const end = lines.findIndex((line, at) => at > start && !line.startsWith('|'))
  return lines.slice(start + 2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** What stands between backticks. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!)
}
