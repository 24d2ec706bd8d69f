import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import binding from '#native'
import type { ExecutionContext } from 'ava'
import { ROOT } from './documents.js'

/**
 * A second build of this package, whose shared layout has another number; everything else of it is the same. It lies in a folder of its
 * own, for it is loaded beside the first.
 */
export function otherBuild(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  mkdirSync(join(folder, 'native'))
  const natives = readdirSync(join(ROOT, 'native'))
  for (const file of natives.filter((name) => name.endsWith('.cjs'))) {
    cpSync(join(ROOT, 'native', file), join(folder, 'native', file))
  }
  for (const file of natives.filter((name) => name.endsWith('.node'))) {
    writeFileSync(join(folder, 'native', file), withOtherLayout(readFileSync(join(ROOT, 'native', file))))
  }
  for (const part of ['index.js', 'msgpackr.cjs', 'lib']) {
    cpSync(join(ROOT, 'dist', part), join(folder, 'dist', part), { recursive: true })
  }
  return pathToFileURL(join(folder, 'dist', 'index.js')).href
}

/** The layout's number is a constant of 64 bits in the code. */
function withOtherLayout(addon: Buffer): Buffer {
  const number = Buffer.from(Buffer.from(binding.runtimeInfo().layoutHash, 'hex').toReversed())
  const other = Buffer.from(number)
  other[0] = other[0]! ^ 0xfe
  const changed = Buffer.from(addon)
  for (let at = changed.indexOf(number); at >= 0; at = changed.indexOf(number, at)) other.copy(changed, at)
  if (changed.equals(addon)) throw new Error(`layout ${number.toString('hex')} is not in the addon`)
  return changed
}
