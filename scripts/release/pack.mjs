// Packs what is published: `npm run pack:local -- DIR [PLATFORM…]` leaves in DIR the package `millrace` and those of the platforms named,
// or of all that `npm run build:all` has built.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { MANIFEST } from './manifests.mjs'
import { billOfMaterials } from './sbom.mjs'
import { packMain, packPlatform } from './stage.mjs'
import { builtAddon, packageOf, ROOT, TARGETS, targetsNamed } from './targets.mjs'

const [to, ...names] = process.argv.slice(2)
if (to === undefined) {
  console.error('usage: npm run pack:local -- DIR [PLATFORM…]')
  process.exit(1)
}
const isBuilt = (target) => existsSync(builtAddon(target))
const chosen = names.length > 0 ? targetsNamed(names) : TARGETS.filter(isBuilt)
const absent = chosen.find((target) => !isBuilt(target))
if (absent !== undefined || chosen.length === 0) {
  console.error(`no addon to pack: \`npm run build:all${absent === undefined ? '' : ` -- ${absent.platform}`}\` first`)
  process.exit(1)
}
const folder = resolve(to)
mkdirSync(folder, { recursive: true })
const stage = join(ROOT, 'npm')
const packed = [
  packMain(stage, folder),
  ...chosen.map((target) => packPlatform(target, builtAddon(target), stage, folder)),
]
for (const { filename, size, unpackedSize } of packed) {
  console.log(`${filename.padEnd(42)}${String(size).padStart(8)} bytes, ${unpackedSize} unpacked`)
}
const bill = `millrace-${MANIFEST.version}.cdx.json`
writeFileSync(join(folder, bill), `${JSON.stringify(billOfMaterials(chosen), undefined, 2)}\n`)
console.log(`${bill}: what they are made of`)
for (const target of TARGETS.filter((one) => !chosen.includes(one))) console.log(`${packageOf(target)}: not packed`)
