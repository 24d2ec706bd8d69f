// The pages of docs/integrations that can be tried: each case installs what it is about, saves the programs of the page, and runs them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { TOOLS } from './clients.mjs'
import { next } from './next.mjs'
import { assertNothingLeft, installPackages, writePrograms } from './pages.mjs'

const START_MS_MAX = 60_000

function assertPrinted(printed, expected) {
  if (printed.trim() !== expected) throw new Error(`it printed ${JSON.stringify(printed)}`)
}

/** Resolves when somebody has opened the domain. */
async function opened({ env }, domain) {
  const deadline = Date.now() + START_MS_MAX
  while (!existsSync(join(env.MILLRACE_DIR, domain))) {
    if (Date.now() > deadline) throw new Error(`nobody has opened the domain ${domain}`)
    await setTimeout(10)
  }
}

async function pino(project) {
  writePrograms('integrations/pino.md', project.app)
  await installPackages(project, 'pino@10', 'pino-abstract-transport@3')
  const collecting = project.run([process.execPath, 'collect.mjs'])
  const logging = opened(project, 'logs').then(() => project.run([process.execPath, 'app.mjs']))
  const [printed] = await Promise.all([collecting, logging])
  assertPrinted(printed, '1000 499500')
  assertNothingLeft(project)
}

async function nest(project) {
  const { app, env } = project
  writePrograms('integrations/nestjs.md', app)
  await installPackages(
    project,
    '@nestjs/common@12',
    '@nestjs/core@12',
    '@nestjs/microservices@12',
    'reflect-metadata@0.2',
    'rxjs@7',
  )
  const manifest = join(app, 'package.json')
  writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, 'utf8')), type: 'module' }))
  const tsc = [process.execPath, join(TOOLS, 'typescript-6', 'bin', 'tsc'), 'main.ts', 'ask.ts']
  const options = ['--strict', '--skipLibCheck', '--experimentalDecorators', '--target', 'es2022']
  const types = ['--module', 'nodenext', '--types', 'node', '--typeRoots', join(TOOLS, '@types')]
  await project.run([...tsc, ...options, ...types])
  const server = spawn(process.execPath, ['main.js'], { cwd: app, env, stdio: ['ignore', 'inherit', 'inherit'] })
  const ended = once(server, 'exit')
  try {
    assertPrinted(await project.run([process.execPath, 'ask.js']), '6 3 nobody handles "product"')
  } finally {
    server.kill('SIGTERM')
    await ended
  }
  assertNothingLeft(project)
}

async function pm2(project) {
  const { app, env } = project
  // It asks `ps` for the children of what it ends, and without it ends nothing.
  env.PATH += ':/usr/bin:/bin'
  writePrograms('integrations/pm2.md', app)
  writePrograms('recipes.md', app)
  cpSync(join(import.meta.dirname, 'programs-pm2'), app, { recursive: true })
  await installPackages(project, 'pm2@7')
  const cli = join(app, 'node_modules', 'pm2', 'bin', 'pm2')
  const command = (...args) => project.run([process.execPath, cli, ...args])
  try {
    await command('start', 'ecosystem.config.cjs')
    assertPrinted(await project.run([process.execPath, 'orders.mjs', cli]), 'each order was done once')
    await command('delete', 'all')
  } finally {
    // Its daemon, too, which keeps its files below the home of the project.
    await command('kill')
  }
  assertNothingLeft(project)
}

export const integrations = [
  { name: 'Next.js, what it deploys', build: next },
  { name: 'pino, a transport', build: pino },
  { name: 'NestJS, a transport', build: nest },
  { name: 'pm2, reloads', build: pm2 },
]
