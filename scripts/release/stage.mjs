// Puts packages together in folders, and packs them.
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { licencesOf } from './licences.mjs'
import { MANIFEST, manifestOf } from './manifests.mjs'
import { fileOf, packageOf, ROOT } from './targets.mjs'

const LICENCES = ['LICENSE-MIT', 'LICENSE-APACHE']

/** Runs `npm pack` in `folder` and returns what it tells of the one package. */
function npmPack(folder, ...args) {
  const stdout = execFileSync('npm', ['pack', '--json', '--ignore-scripts', ...args], { cwd: folder, encoding: 'utf8' })
  return JSON.parse(stdout)[0]
}

function writeJson(folder, value) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(value, undefined, 2)}\n`)
}

function emptied(folder) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  return folder
}

/** Packs `millrace`, put together in `stage`, into `to`. */
export function packMain(stage, to) {
  const folder = emptied(join(stage, 'millrace'))
  for (const { path } of npmPack(ROOT, '--dry-run').files) cpSync(join(ROOT, path), join(folder, path))
  writeJson(folder, MANIFEST)
  return npmPack(folder, '--pack-destination', to)
}

/** Likewise the package of a platform: the addon, and the licences of all that is linked into it. */
export function packPlatform(target, addon, stage, to) {
  const folder = emptied(join(stage, target.platform))
  copyFileSync(addon, join(folder, fileOf(target)))
  for (const name of LICENCES) copyFileSync(join(ROOT, name), join(folder, name))
  writeFileSync(join(folder, 'LICENSES-THIRD-PARTY.txt'), licencesOf(target.triple))
  const about = `The addon of [millrace](${MANIFEST.homepage}) for \`${target.triple}\`. Install \`millrace\`, not this.`
  writeFileSync(join(folder, 'README.md'), `# ${packageOf(target)}\n\n${about}\n`)
  writeJson(folder, manifestOf(target))
  return npmPack(folder, '--pack-destination', to)
}
