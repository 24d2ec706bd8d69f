// What docs/integrations/bundlers.md says. Each builds the programs in a project and runs what it has built.
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { TOOLS } from './clients.mjs'
import { assertWorks } from './project.mjs'

const toolsRequire = createRequire(join(TOOLS, 'here.cjs'))
const byNode = (program) => [process.execPath, program]

async function esbuild(project) {
  const { build } = toolsRequire('esbuild')
  const common = {
    absWorkingDir: project.app,
    bundle: true,
    platform: 'node',
    external: ['millrace'],
    logLevel: 'silent',
  }
  await build({ ...common, entryPoints: ['check.mjs'], format: 'esm', outfile: 'out/esm.mjs' })
  await build({ ...common, entryPoints: ['check.cjs'], format: 'cjs', outfile: 'out/cjs.cjs' })
  await assertWorks(project, byNode('out/esm.mjs'), 'ESM')
  await assertWorks(project, byNode('out/cjs.cjs'), 'CommonJS')
}

async function webpack(project) {
  const bundle = (configuration) =>
    new Promise((resolve, reject) => {
      const common = { context: project.app, target: 'node', mode: 'production' }
      toolsRequire('webpack')({ ...common, ...configuration }, (error, stats) => {
        if (error ?? stats.hasErrors()) reject(error ?? new Error(stats.toString()))
        else resolve()
      })
    })
  const path = join(project.app, 'out')
  await bundle({
    entry: './check.mjs',
    experiments: { outputModule: true },
    externals: { millrace: 'module millrace' },
    output: { path, filename: 'esm.mjs', library: { type: 'module' }, module: true },
  })
  await bundle({
    entry: './check.cjs',
    externals: { millrace: 'commonjs millrace' },
    output: { path, filename: 'cjs.cjs' },
  })
  await assertWorks(project, byNode('out/esm.mjs'), 'ESM')
  await assertWorks(project, byNode('out/cjs.cjs'), 'CommonJS')
}

async function viteSsr(project) {
  // In a process of its own: Vite needs a newer Node.js than Millrace does, and says so by itself.
  writeFileSync(
    join(project.app, 'vite.config.mjs'),
    "export default { build: { ssr: 'check.mjs' }, logLevel: 'warn' }\n",
  )
  await project.run(byNode(join(TOOLS, 'vite', 'bin', 'vite.js')).concat('build'))
  await assertWorks(project, byNode('dist/check.mjs'), 'ESM')
}

/** What many deploy: the files that a program is found to need. */
async function traced(project) {
  const { nodeFileTrace } = toolsRequire('@vercel/nft')
  for (const program of ['check.mjs', 'check.cjs']) {
    const { fileList } = await nodeFileTrace([join(project.app, program)], { base: project.app })
    const files = [...fileList]
    for (const needed of [/millrace-[\w-]+\/millrace\.[\w-]+\.node$/, /millrace\/dist\/msgpackr\.cjs$/]) {
      if (!files.some((file) => needed.test(file)))
        throw new Error(`${program}: no ${needed} among ${files.join(', ')}`)
    }
  }
}

export const bundlers = [
  { name: 'esbuild', build: esbuild },
  { name: 'webpack', build: webpack },
  { name: 'vite, SSR', build: viteSsr },
  { name: 'file tracing', build: traced },
]
