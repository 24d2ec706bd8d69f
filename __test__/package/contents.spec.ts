import { execFileSync } from 'node:child_process'
import { createRequire, isBuiltin } from 'node:module'
import { join } from 'node:path'
import test from 'ava'
import { ROOT, textOf } from '../helpers/documents.js'

interface Target {
  platform: string
  triple: string
}

const manifest = createRequire(import.meta.url)(join(ROOT, 'package.json')) as Record<string, unknown>

const { TARGETS } = (await import(join(ROOT, 'scripts/release/targets.mjs'))) as { TARGETS: Target[] }

/** All strings in `value`, at any depth. */
function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : []
}

test('nothing comes along with the package but its addon', (t) => {
  t.is(manifest['dependencies'], undefined)
  t.is(manifest['optionalDependencies'], undefined, 'pack.mjs adds those of the platforms')
})

test('all files that package.json names are packed', (t) => {
  const stdout = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]
  const packed = new Set(files.map(({ path }) => path))
  const named = ['exports', 'imports', 'main', 'types', 'bin'].flatMap((key) => stringsIn(manifest[key]))
  t.true(named.length > 10)
  t.deepEqual(
    named.map((file) => file.replace(/^\.\//, '')).filter((file) => !packed.has(file)),
    [],
  )
  t.deepEqual(
    [...packed].filter((file) => file.endsWith('.node') || file.includes('__test__')),
    [],
  )
})

for (const [library, licence] of [
  ['msgpackr', /^\/\*! msgpackr\s+MIT License\s+Copyright .* Kris Zyp\s/],
  ['dagre', /^\/\*! @dagrejs\/dagre\s+Copyright .* Chris Pettitt\s/],
  ['mcap', /^\/\*! @mcap\/core\s+MIT License\s+Copyright .* Foxglove Technologies/],
  ['yaml', /^\/\*! yaml\s+Copyright Eemeli Aro/],
  ['flow-validator', /^\/\*! ajv\s+The MIT License \(MIT\)\s+Copyright .* Evgeny Poberezkin\s/],
] as const) {
  test(`what is bundled bears its licence, and needs nothing else: ${library}`, (t) => {
    t.regex(textOf(`dist/${library}.cjs`), licence)
    const needed = [...textOf(`dist/${library}.cjs`).matchAll(/(?<!')require\("([^"]+)"\)/g)].map(([, name]) => name!)
    t.deepEqual(
      needed.filter((name) => !isBuiltin(name)),
      [],
    )
  })
}

test('the loader knows the packages that are made', (t) => {
  const known = [...textOf('native/binding.cjs').matchAll(/^ {2}'([\w-]+)': \(\) => (.*),$/gm)]
  t.deepEqual(
    known.map(([, platform, load]) => [platform, load]),
    TARGETS.map(({ platform }) => [
      platform,
      `[require('millrace-${platform}'), require('millrace-${platform}/package.json')]`,
    ]),
  )
})

const PLATFORMS = TARGETS.map(({ platform }) => platform)
const TRIPLES = TARGETS.map(({ triple }) => triple)

for (const { path, pattern, each } of [
  { path: 'docs/install.md', pattern: /^\| `millrace-([\w-]+)`/gm, each: PLATFORMS },
  { path: 'deny.toml', pattern: /^ {2}"([\w-]+)",$/gm, each: TRIPLES },
  {
    path: '.github/workflows/release.yml',
    pattern: /(?<=platforms:.*|pack:local.*) ((?:linux|darwin|win32)-[\w-]+)/g,
    each: [...PLATFORMS, ...PLATFORMS],
  },
]) {
  test(`${path} names the platforms that there are`, (t) => {
    const named = [...textOf(path).matchAll(pattern)].map(([, name]) => name!)
    t.deepEqual(named.toSorted(), each.toSorted())
  })
}

test('the crates have the version of the package', (t) => {
  t.regex(textOf('Cargo.toml'), new RegExp(`^version = "${String(manifest['version'])}"$`, 'm'))
})
