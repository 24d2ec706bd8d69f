// Puts together what is published and packs it: `npm run pack:local -- DIR [PLATFORM…]` leaves in DIR the package `millrace` and those
// of the platforms named, or of all that `npm run build:all` has built. Build the TypeScript before.
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { licencesOf } from './licences.mjs'
import { addonOf, packageOf, ROOT, STAGE, TARGETS, targetsNamed } from './targets.mjs'

/** What of package.json is for those who work on this. */
const OURS = new Set([
  'private',
  'workspaces',
  'files',
  'napi',
  'scripts',
  'ava',
  'devDependencies',
  'overrides',
  'allowScripts',
])
const LICENCES = ['LICENSE-MIT', 'LICENSE-APACHE']

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/** Runs `npm pack` and returns what it tells of the one package. */
function npmPack(folder, ...args) {
  const stdout = execFileSync('npm', ['pack', '--json', '--ignore-scripts', ...args], { cwd: folder, encoding: 'utf8' })
  return JSON.parse(stdout)[0]
}

function writeJson(folder, value) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(value, undefined, 2)}\n`)
}

/** The package itself: needs those of the platforms, each where it fits, and nothing else. */
function stageMain() {
  const folder = join(STAGE, 'millrace')
  rmSync(folder, { recursive: true, force: true })
  for (const { path } of npmPack(ROOT, '--dry-run').files) cpSync(join(ROOT, path), join(folder, path))
  const published = Object.fromEntries(Object.entries(manifest).filter(([key]) => !OURS.has(key)))
  const platforms = TARGETS.map((target) => [packageOf(target), manifest.version])
  writeJson(folder, { ...published, optionalDependencies: Object.fromEntries(platforms) })
  return folder
}

/** The package of a platform: the addon, and the licences of all that is linked into it. */
function stagePlatform(target) {
  const { os, cpu, libc, triple } = target
  const { version, license, repository, homepage, bugs, engines } = manifest
  const { folder, file } = addonOf(target)
  for (const name of LICENCES) copyFileSync(join(ROOT, name), join(folder, name))
  writeFileSync(join(folder, 'LICENSES-THIRD-PARTY.txt'), licencesOf(triple))
  writeFileSync(
    join(folder, 'README.md'),
    `# ${packageOf(target)}\n\nThe addon of [millrace](${homepage}) for \`${triple}\`. Install \`millrace\`, not this.\n`,
  )
  writeJson(folder, {
    name: packageOf(target),
    version,
    description: `The addon of millrace for ${triple}`,
    license,
    repository,
    homepage,
    bugs,
    engines,
    os: [os],
    cpu: [cpu],
    ...(libc !== undefined && { libc: [libc] }),
    main: file,
    files: [file, 'LICENSE*'],
  })
  return folder
}

const [to, ...names] = process.argv.slice(2)
if (to === undefined) {
  console.error('usage: npm run pack:local -- DIR [PLATFORM…]')
  process.exit(1)
}
const built = (target) => existsSync(join(addonOf(target).folder, addonOf(target).file))
const chosen = targetsNamed(names).filter((target) => names.length > 0 || built(target))
const absent = chosen.find((target) => !built(target))
if (absent !== undefined || chosen.length === 0) {
  const which = absent === undefined ? '' : ` -- ${absent.platform}`
  console.error(`no addon to pack: \`npm run build:all${which}\` first`)
  process.exit(1)
}
const folder = resolve(to)
mkdirSync(folder, { recursive: true })
for (const staged of [stageMain(), ...chosen.map(stagePlatform)]) {
  const { filename, size, unpackedSize } = npmPack(staged, '--pack-destination', folder)
  console.log(`${filename.padEnd(42)}${String(size).padStart(8)} bytes, ${unpackedSize} unpacked`)
}
for (const target of TARGETS.filter((one) => !chosen.includes(one))) console.log(`${packageOf(target)}: not packed`)
