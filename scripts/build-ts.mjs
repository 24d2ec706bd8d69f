// TypeScript → dist/: ESM and declarations by tsc, then the CommonJS entries and their declarations for `require('millrace')`, libraries that
// come along, the schema of flows, and the page of the dashboard.
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { bundleLibraries, LIBRARIES, writeFlowSchema } from './libraries.mjs'
import { writePage } from './page.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')

/** Compiles and returns the absolute paths of the files written. */
function compile() {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '--listEmittedFiles'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = stdout.split(/\r?\n/)
  const marker = 'TSFILE: '
  for (const line of lines) if (line !== '' && !line.startsWith(marker)) console.log(line)
  if (status !== 0) process.exit(status ?? 1)
  return lines.filter((line) => line.startsWith(marker)).map((line) => resolve(root, line.slice(marker.length)))
}

/**
 * Declarations as their readers must see them: the addon by its path, for compilers that know nothing of `imports`; and once
 * more for CommonJS, naming `.cjs` neighbours.
 */
function writeDeclarations(emitted) {
  const published = ['index.d.ts', 'arrow.d.ts', 'flow.d.ts', 'metrics.d.ts', 'testing.d.ts', `lib${sep}`]
  return emitted
    .filter((file) => file.endsWith('.d.ts') && published.some((start) => relative(dist, file).startsWith(start)))
    .map((file) => {
      const addon = relative(dirname(file), join(root, 'native', 'binding.cjs'))
        .split(sep)
        .join('/')
      const text = readFileSync(file, 'utf8').replace(/(['"])#native\1/g, `$1${addon}$1`)
      writeFileSync(file, text)
      const target = file.replace(/\.d\.ts$/, '.d.cts')
      writeFileSync(target, text.replace(/(['"])(\.{1,2}\/[^'"]*)\.js\1/g, '$1$2.cjs$1'))
      return target
    })
}

/** Removes what an earlier build left behind, so that a deleted test is not run again. */
function prune(keep) {
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name)
    if (entry.isFile() && !keep.has(file)) rmSync(file)
  }
}

/** CommonJS has a `require`; tools that trace dependencies recognize no other in it. */
const ownRequire = {
  name: 'own-require',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]lib[\\/].*\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace('const require = createRequire(import.meta.url);', ''),
    }))
  },
}

/** What opens managers itself has those of the `index` that everybody has, not of a copy of its own. */
const sharedManager = {
  name: 'shared-manager',
  setup({ onResolve }) {
    onResolve({ filter: /domain[\\/]manager\.js$/ }, ({ importer }) =>
      /[\\/]lib[\\/]testing[\\/]/.test(importer) ? { path: './index.cjs', external: true } : undefined,
    )
  },
}

const emitted = compile()
const declarations = writeDeclarations(emitted)
// The entries of the package. What the others share with `index` is types, and code without state: objects of one work with the others.
const bundles = { index: 'index.js', arrow: 'arrow.js', flow: 'flow.js', metrics: 'metrics.js', testing: 'testing.js' }
await build({
  entryPoints: Object.entries(bundles).map(([out, file]) => ({ in: join(dist, file), out })),
  outdir: dist,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['#*', 'apache-arrow'],
  plugins: [ownRequire, sharedManager],
  sourcemap: true,
  logLevel: 'warning',
})
await bundleLibraries()
const schema = await writeFlowSchema()
const page = await writePage()
const bundled = [
  ...LIBRARIES,
  ...schema,
  page,
  ...Object.keys(bundles).flatMap((name) => [`${name}.cjs`, `${name}.cjs.map`]),
]
prune(new Set([...emitted, ...declarations, ...bundled.map((file) => join(dist, file))]))
