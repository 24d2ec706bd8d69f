// What is tried, one entry a way of installing or building.
import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { bundlers } from './bundlers.mjs'
import { clients, npmClient, TOOLS } from './clients.mjs'
import { integrations } from './integrations.mjs'
import { assertWorks, makeProject } from './project.mjs'

/** `node` if it is new enough for all package managers, else the one that came with them. */
function newNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 22)) return process.execPath
  const other = join(TOOLS, 'node-24', 'bin', 'node')
  return existsSync(other) ? other : undefined
}

/** Installed and run, both ways. */
function ofClient(client) {
  const { name, node, files, install, run } = client
  const [[executable]] = install
  const lacking = node === undefined ? 'needs Node.js 22.22' : 'has no executable for this machine'
  return {
    name,
    reason: node === undefined || executable === undefined ? lacking : undefined,
    async run({ work, registry }) {
      const project = makeProject(work, node, files(registry))
      for (const command of install) await project.run(command)
      await assertWorks(project, run('check.mjs'), 'ESM')
      await assertWorks(project, run('check.cjs'), 'CommonJS')
    },
  }
}

const npmCli = (major) => [process.execPath, join(TOOLS, `npm-${major}`, 'bin', 'npm-cli.js')]
const byNode = (program) => [process.execPath, program]

async function npmProject({ work, registry }, ...options) {
  const project = makeProject(work, process.execPath, { '.npmrc': `registry=${registry}\n` })
  await project.run([...npmCli(11), 'install', 'millrace', ...options])
  return project
}

const special = [
  {
    name: 'npm 11, nothing else comes along, no script runs',
    async run(context) {
      const { app } = await npmProject(context)
      const packages = readdirSync(join(app, 'node_modules')).filter((name) => !name.startsWith('.'))
      if (packages.length !== 2 || packages[0] !== 'millrace') throw new Error(`installed: ${packages.join(', ')}`)
      for (const name of packages) {
        const { scripts } = JSON.parse(readFileSync(join(app, 'node_modules', name, 'package.json'), 'utf8'))
        if (scripts !== undefined) throw new Error(`${name} has scripts: ${Object.keys(scripts).join(', ')}`)
      }
    },
  },
  {
    name: 'npm 11, a lock file made for another system',
    async run(context) {
      const project = await npmProject(context, '--package-lock-only', '--os=darwin', '--cpu=arm64')
      await project.run([...npmCli(11), 'ci'])
      await assertWorks(project, byNode('check.mjs'), 'ESM')
    },
  },
  {
    name: 'npm 11, without optional dependencies: the error says what is missing',
    async run(context) {
      const project = await npmProject(context, '--omit=optional')
      const error = await project.run(byNode('check.mjs')).catch(({ message }) => message)
      if (!/The package millrace-\S+, which .* is not installed/.test(error)) throw new Error(error)
    },
  },
  {
    name: 'npm 11, the command line tool',
    async run(context) {
      const project = await npmProject(context)
      const printed = await project.run([...npmCli(11), 'exec', '--', 'millrace', '--help'])
      if (!printed.includes('millrace')) throw new Error(printed)
    },
  },
]

/** Types, for each compiler and each way to resolve a module. */
const RESOLUTIONS = { node16: 'node16', nodenext: 'nodenext', bundler: 'esnext' }
const compilers = ['5.7', '5', '6', '7'].map((version) => ({
  name: `TypeScript ${version}`,
  async run(context) {
    const project = await npmProject(context)
    const tsc = [process.execPath, join(TOOLS, `typescript-${version}`, 'bin', 'tsc')]
    const strict = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--skipLibCheck',
      'false',
      '--target',
      'es2022',
    ]
    const types = ['--types', 'node', '--typeRoots', join(TOOLS, '@types')]
    for (const [resolution, module] of Object.entries(RESOLUTIONS)) {
      const programs = resolution === 'bundler' ? ['check.mts'] : ['check.mts', 'check.cts']
      const options = ['--module', module, '--moduleResolution', resolution]
      await project.run([...tsc, ...strict, ...types, ...options, ...programs])
    }
  },
}))

/** With the npm that is on PATH. It takes packages for the C library of the system, unless it is told of that of this Node.js. */
export function shortCases() {
  const isMusl = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined
  const npm = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'npm'))
    .find((file) => existsSync(file))
  return [ofClient(npmClient('npm', process.execPath, npm && realpathSync(npm), ...(isMusl ? ['--libc=musl'] : [])))]
}

export function cases() {
  return [
    ...clients(process.execPath, newNode()).map(ofClient),
    ...special,
    ...compilers,
    ...[...bundlers, ...integrations].map(({ name, build }) => ({
      name,
      run: async (context) => build(await npmProject(context)),
    })),
  ]
}
