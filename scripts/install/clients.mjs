// Package managers, each with how it installs Millrace into a project and how programs of that project run.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Where package managers, compilers and bundlers are installed: see package.json beside this file. */
export const TOOLS = join(import.meta.dirname, 'node_modules')

const tool = (...path) => join(TOOLS, ...path)
/** The executable that `scope` has for this machine, if it has one. */
const native = (scope, file) =>
  (existsSync(tool(scope)) ? readdirSync(tool(scope)) : [])
    .map((name) => tool(scope, name, file))
    .find((path) => existsSync(path))

const byNode = (node) => (program) => [node, program]

/** What the registry is called in the settings of each. */
const npmrc = (url) => ({ '.npmrc': `registry=${url}\n` })
const yarnrc = (linker) => (url) => ({
  'yarn.lock': '',
  '.yarnrc.yml': [
    `npmRegistryServer: '${url}'`,
    "unsafeHttpWhitelist: ['127.0.0.1']",
    `nodeLinker: ${linker}`,
    'enableGlobalCache: false',
    'enableTelemetry: false',
    '',
  ].join('\n'),
})

/** npm, as the program `cli`. */
export function npmClient(name, node, cli, ...options) {
  return { name, node, files: npmrc, install: [[node, cli, 'install', 'millrace', ...options]], run: byNode(node) }
}

function npm(major, node) {
  return npmClient(`npm ${major}`, node, tool(`npm-${major}`, 'bin', 'npm-cli.js'))
}

function yarn4(linker, node) {
  const cli = [node, tool('yarn-4', 'bin', 'yarn.js')]
  return {
    name: `yarn 4, ${linker}`,
    node,
    files: yarnrc(linker),
    install: [[...cli, 'add', 'millrace']],
    run: (program) => [...cli, 'node', program],
  }
}

/** All of them; one that lacks its executable, or the Node.js it needs, has `node` or a command undefined. `newNode` is 22.13 or newer. */
export function clients(node, newNode) {
  // Asked here: the tools are installed when this file has been read.
  const [bun, deno, pnpm12] = [native('@oven', 'bin/bun'), native('@deno', 'deno'), native('@pnpm', 'pnpm')]
  return [
    npm(10, node),
    npm(11, node),
    npm(12, newNode),
    {
      name: 'pnpm 10',
      node,
      files: npmrc,
      install: [[node, tool('pnpm-10', 'bin', 'pnpm.cjs'), 'add', 'millrace']],
      run: byNode(node),
    },
    {
      name: 'pnpm 11',
      node: newNode,
      files: npmrc,
      install: [[newNode, tool('pnpm-11', 'bin', 'pnpm.mjs'), 'add', 'millrace']],
      run: byNode(newNode),
    },
    { name: 'pnpm 12', node, files: npmrc, install: [[pnpm12, 'add', 'millrace']], run: byNode(node) },
    {
      name: 'yarn 1',
      node,
      files: npmrc,
      install: [[node, tool('yarn-1', 'bin', 'yarn.js'), 'add', 'millrace']],
      run: byNode(node),
    },
    yarn4('node-modules', node),
    yarn4('pnp', node),
    { name: 'bun', node, files: npmrc, install: [[bun, 'add', 'millrace']], run: (program) => [bun, program] },
    {
      name: 'deno',
      node,
      files: npmrc,
      install: [[deno, 'add', 'npm:millrace']],
      run: (program) => [deno, 'run', '--allow-all', program],
    },
  ]
}
