// The public API: `npm run docs` writes the reference pages from the comments in index.ts, arrow.ts, flow.ts, metrics.ts, testing.ts and lib/ to
// docs/api (not committed), and the reports docs/millrace*.api.md (committed: their diff is the review of the API).
// With `-- --check` it only says whether the reports are fresh. Fails when something public is not described, or a link leads nowhere.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'
import { Application } from 'typedoc'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')
const docs = join(root, 'docs')
const REPORTS = {
  'millrace.api.md': 'index.d.ts',
  'millrace-arrow.api.md': 'arrow.d.ts',
  'millrace-flow.api.md': 'flow.d.ts',
  'millrace-metrics.api.md': 'metrics.d.ts',
  'millrace-testing.api.md': 'testing.d.ts',
}

/** Writes the pages to `folder`, which is emptied first. */
async function writePages(folder) {
  const app = await Application.bootstrapWithPlugins({ options: join(here, 'typedoc.json'), out: folder })
  const project = await app.convert()
  if (project !== undefined) {
    app.validate(project)
    await app.generateOutputs(project)
  }
  if (project === undefined || app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1)
}

/** Writes the report of the declarations in `dist/<entry>` to `folder`. */
function writeReport(reportFileName, entry, folder, temp) {
  const silent = { default: { logLevel: 'none' } }
  const compilerOptions = {
    module: 'nodenext',
    moduleResolution: 'nodenext',
    target: 'es2023',
    lib: ['es2023', 'esnext.disposable', 'dom', 'dom.iterable', 'dom.asynciterable'],
    types: ['node'],
    skipLibCheck: true,
  }
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, 'dist', entry),
      compiler: { overrideTsconfig: { compilerOptions, include: [join(root, 'dist', entry)] } },
      apiReport: { enabled: true, reportFolder: folder, reportTempFolder: temp, reportFileName },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        extractorMessageReporting: silent,
        tsdocMessageReporting: silent,
        compilerMessageReporting: { default: { logLevel: 'error' } },
      },
    },
  })
  const { succeeded } = Extractor.invoke(config, { localBuild: true, showVerboseMessages: false })
  if (!succeeded) process.exit(1)
}

const temp = mkdtempSync(join(tmpdir(), 'millrace-api-'))
process.once('exit', () => rmSync(temp, { recursive: true }))
if (process.argv.includes('--check')) {
  await writePages(join(temp, 'pages'))
  for (const [report, entry] of Object.entries(REPORTS)) {
    writeReport(report, entry, temp, join(temp, 'temp'))
    const committed = join(docs, report)
    const fresh = existsSync(committed) && readFileSync(committed, 'utf8') === readFileSync(join(temp, report), 'utf8')
    if (fresh) continue
    console.error(`docs/${report} is stale: npm run docs`)
    process.exitCode = 1
  }
} else {
  await writePages(join(docs, 'api'))
  for (const [report, entry] of Object.entries(REPORTS)) writeReport(report, entry, docs, join(temp, 'temp'))
}
