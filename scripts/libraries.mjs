// Libraries that are bundled into dist/, each as one file that is loaded when it is needed; the schema of flows, and the validator of it.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import Ajv from 'ajv/dist/2020.js'
import standaloneCode from 'ajv/dist/standalone/index.js'
import { build } from 'esbuild'
import { PAGE_PACKAGES } from './page.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')

/** What is taken of each package; of msgpackr without the addon that it can have: packages that it would have to be got from. */
const EXPORTS = {
  '@dagrejs/dagre': "export { Graph, layout } from '@dagrejs/dagre'",
  '@mcap/core':
    "export { McapRecordBuilder } from './dist/esm/McapRecordBuilder.js'; export { default as McapStreamReader } from './dist/esm/McapStreamReader.js'",
  msgpackr: "export { Packr } from './pack.js'; export { Unpackr } from './unpack.js'",
  yaml: "export { isMap, isNode, isScalar, LineCounter, parseDocument, stringify } from 'yaml'",
}

/** Packages of which something is in dist/: `graphlib` is a part of dagre, `crc` one of `@mcap/core`, and of ajv there is a little that every validator needs. */
export const BUNDLED = [...Object.keys(EXPORTS), '@dagrejs/graphlib', '@foxglove/crc', 'ajv', ...PAGE_PACKAGES]

/** Files of dist/ that {@link bundleLibraries} writes. */
export const LIBRARIES = Object.keys(EXPORTS).map(fileOf)

/** Writes them. */
export async function bundleLibraries() {
  for (const [name, contents] of Object.entries(EXPORTS)) {
    await bundle(fileOf(name), name, { contents, resolveDir: join(root, 'node_modules', name) })
  }
}

/** Writes `flow.schema.json` and its validator to dist/, which TypeScript has been compiled to; returns their names. */
export async function writeFlowSchema() {
  const { flowSchema } = await import(pathToFileURL(join(dist, 'lib/flow/graph/schema.js')).href)
  const blocks = JSON.parse(readFileSync(join(root, 'lib/flow/generated/blocks.schema.json'), 'utf8'))
  const schema = flowSchema(blocks)
  writeFileSync(join(dist, 'flow.schema.json'), `${JSON.stringify(schema, undefined, 2)}\n`)
  const ajv = new Ajv({
    allErrors: true,
    messages: false,
    strictTypes: false,
    strictRequired: false,
    code: { source: true },
  })
  const contents = standaloneCode(ajv, ajv.compile(JSON.parse(JSON.stringify(schema, withoutWords))))
  await bundle('flow-validator.cjs', 'ajv', { contents, resolveDir: root })
  return ['flow.schema.json', 'flow-validator.cjs']
}

/** What people read of a schema is of no use for a validator. A property of such a name is an object. */
function withoutWords(key, value) {
  return ['description', 'title', 'default'].includes(key) && typeof value !== 'object' ? undefined : value
}

/** Writes a file of dist/, with the licence of the package that it is made of or by. */
async function bundle(file, name, stdin) {
  const licence = readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8')
  await build({
    stdin,
    outfile: join(dist, file),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    minifySyntax: true,
    minifyWhitespace: true,
    banner: { js: `/*! ${name}\n\n${licence}*/` },
    logLevel: 'warning',
  })
}

/** Named after the package; after its scope, if that is called `core`. */
function fileOf(name) {
  const [scope, own = scope] = name.split('/')
  return `${own === 'core' ? scope.slice(1) : own}.cjs`
}
