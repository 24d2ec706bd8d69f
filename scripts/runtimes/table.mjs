// What came of the runtimes, as docs/install.md shows it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../release/targets.mjs'

const DOCUMENT = join(ROOT, 'docs', 'install.md')
const BEGIN = '<!-- runtimes:begin, written by npm run test:runtimes -- --write -->'
const END = '<!-- runtimes:end -->'

/** What came of the last whole run of a runtime, beside its program. */
const resultOf = (name) => join(ROOT, 'target', 'runtimes', name, 'result.json')

/** Keeps what has come of a whole run. */
export function keep(name, result) {
  writeFileSync(resultOf(name), JSON.stringify(result))
}

/** What came of the last whole run, if there was one here. */
export function kept(name) {
  const file = resultOf(name)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** The table, and below it what is left out where, with the reasons. */
export function sectionOf(results) {
  const head = ['runtime', 'C library', 'passed', 'failed', 'commit']
  const rows = results.map(({ title, version, libc, commit, counted: { passed, failed } }) => {
    return [`${title} ${version}`, libc, passed, failed, commit]
  })
  const table = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  const reasons = new Map()
  for (const { title, skipped } of results) {
    for (const [what, why] of [...Object.entries(skipped.SPECS), ...Object.entries(skipped.TESTS)]) {
      const line = `- ${title}: ${why}`
      reasons.set(line, [...new Set([...(reasons.get(line) ?? []), `\`${what}\``])])
    }
  }
  const list = Array.from(reasons, ([line, all]) => `${line} (${all.join(', ')})`)
  return list.length === 0 ? table : `${table}\n\nLeft out:\n\n${list.join('\n')}`
}

/** Puts the section into the document. */
export function write(section) {
  const text = readFileSync(DOCUMENT, 'utf8')
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${DOCUMENT} lacks the marks ${BEGIN} and ${END}`)
  writeFileSync(DOCUMENT, `${text.slice(0, begin + BEGIN.length)}\n\n${section}\n\n${text.slice(end)}`)
}
