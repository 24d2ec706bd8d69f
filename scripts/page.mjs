// The page of the dashboard: one file of dist/ that needs nothing else, with its script and style in it.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const source = join(root, 'cli', 'dashboard', 'page')

/** Packages that are in it. */
export const PAGE_PACKAGES = ['preact', 'uplot']

/** So many bytes at most: it is in the package of everybody. */
const BYTES_MAX = 120 * 1024

/** Writes it; returns its name. */
export async function writePage() {
  const { outputFiles } = await build({
    entryPoints: [join(source, 'main.tsx'), join(source, 'style.css')],
    outdir: source,
    write: false,
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es2022',
    tsconfig: join(source, 'tsconfig.json'),
    legalComments: 'none',
    logLevel: 'warning',
  })
  const [script, style] = ['.js', '.css'].map((end) => outputFiles.find(({ path }) => path.endsWith(end)).text.trim())
  const licences = PAGE_PACKAGES.map(
    (name) => `${name}\n\n${readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8')}`,
  )
  const html = pageOf(licences.join('\n'), script, style)
  const bytes = Buffer.byteLength(html)
  if (bytes > BYTES_MAX) throw new Error(`the page of the dashboard has ${bytes} bytes, more than ${BYTES_MAX}`)
  writeFileSync(join(root, 'dist', 'dashboard.html'), html)
  return 'dashboard.html'
}

function pageOf(licences, script, style) {
  return `<!doctype html>
<!--
${licences}
-->
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Millrace</title>
    <link rel="icon" href="data:,">
    <style>${style}</style>
  </head>
  <body>
    <div id="page"></div>
    <noscript>This page is made by its script.</noscript>
    <script>${script}</script>
  </body>
</html>
`
}
