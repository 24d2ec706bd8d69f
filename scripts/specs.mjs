// The specs of Node.js, without those that are left out somewhere.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './release/targets.mjs'

const SPECS = join('dist', '__test__')

/** The names that are not left out; each of the others is told with its reason. */
export function kept(names, skipped, titleOf) {
  return names.filter((name) => {
    const why = skipped[titleOf(name)]
    if (why !== undefined) console.log(`${titleOf(name)} is left out: ${why}`)
    return why === undefined
  })
}

/**
 * The program AVA with all specs whose file has `word` in its name but those of `SPECS`, by file without its ending, and all tests but those
 * of `TESTS`, by parts of their titles.
 */
export function avaWithout(skipped, word = '') {
  const files = readdirSync(join(ROOT, SPECS), { recursive: true, encoding: 'utf8' })
  const names = files.filter((file) => file.endsWith('.spec.js')).map((file) => file.replaceAll('\\', '/'))
  const wanted = names.filter((name) => name.includes(word))
  const chosen = kept(wanted, skipped.SPECS, (name) => name.replace(/\.spec\.js$/, ''))
  for (const [title, why] of Object.entries(skipped.TESTS)) console.log(`"${title}" is left out: ${why}`)
  const others = Object.keys(skipped.TESTS).flatMap((title) => ['--match', `!*${title}*`])
  const ava = join('node_modules', 'ava', 'entrypoints', 'cli.mjs')
  return [ava, '--tap', ...others, ...chosen.map((name) => join(SPECS, name))]
}
