// docs/api from the comments in index.ts and lib/: `npm run docs`; with `-- --check` it only says whether docs/api is fresh. Fails
// when something public is not described, or a link leads nowhere.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Application } from 'typedoc'

const here = dirname(fileURLToPath(import.meta.url))
const committed = join(here, '..', '..', 'docs', 'api')

/** Writes the reference to `folder`, which is emptied first. */
async function generate(folder) {
  const app = await Application.bootstrapWithPlugins({ options: join(here, 'typedoc.json'), out: folder })
  const project = await app.convert()
  if (project !== undefined) {
    app.validate(project)
    await app.generateOutputs(project)
  }
  if (project === undefined || app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1)
}

/** Every page of `folder`, by its path. */
function pagesOf(folder) {
  if (!existsSync(folder)) return new Map()
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name))
  return new Map(paths.map((path) => [relative(folder, path), readFileSync(path, 'utf8')]))
}

/** Pages that differ from those that would be generated. */
async function stalePages() {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-api-'))
  process.once('exit', () => rmSync(folder, { recursive: true }))
  await generate(folder)
  const [fresh, there] = [pagesOf(folder), pagesOf(committed)]
  return [...new Set([...fresh.keys(), ...there.keys()])].filter((page) => fresh.get(page) !== there.get(page))
}

if (process.argv.includes('--check')) {
  const pages = await stalePages()
  for (const page of pages) console.error(`docs/api/${page} is stale: npm run docs`)
  process.exitCode = pages.length === 0 ? 0 : 1
} else {
  await generate(committed)
}
