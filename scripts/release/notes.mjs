// What CHANGELOG.md says about a release, for `notes.mjs vX.Y.Z`: fails unless that is the version of everything, and has a section.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MANIFEST } from './manifests.mjs'
import { ROOT } from './targets.mjs'

const textOf = (file) => readFileSync(join(ROOT, file), 'utf8')

const [tag = ''] = process.argv.slice(2)
const versions = {
  'the tag': tag.replace(/^v/, ''),
  'package.json': MANIFEST.version,
  'Cargo.toml': /^version = "(.*)"$/m.exec(textOf('Cargo.toml'))?.[1],
}
if (new Set(Object.values(versions)).size > 1) {
  const said = Object.entries(versions).map(([where, version]) => `${where} says ${version}`)
  throw new Error(`one version is needed: ${said.join(', ')}`)
}
const section = textOf('CHANGELOG.md')
  .split(/^## /m)
  .find((text) => text.startsWith(`[${MANIFEST.version}]`))
if (section === undefined) throw new Error(`CHANGELOG.md has no section [${MANIFEST.version}]`)
console.log(section.replace(/^.*\n+/, '').trim())
