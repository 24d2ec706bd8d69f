// What it takes to try pages of the documents.
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../release/targets.mjs'

/** Saves the programs of a page: its blocks of code that begin with the name of a file. */
export function writePrograms(page, folder) {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8')
  const programs = [...text.matchAll(/^```\w+\n\/\/ (\S+)\n(.*?)^```$/gms)]
  if (programs.length === 0) throw new Error(`${page} has no programs`)
  for (const [, name, code] of programs) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, code)
  }
}

/** Installs what is not served on the loopback interface, from where this machine has its packages. */
export async function installPackages({ app }, ...packages) {
  const registry = execFileSync('npm', ['config', 'get', 'registry'], {
    encoding: 'utf8',
    cwd: import.meta.dirname,
  }).trim()
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--registry', registry, ...packages]
  await promisify(execFile)('npm', args, { cwd: app })
}

/** Fails if a domain is left of what ran in the project. */
export function assertNothingLeft({ env }) {
  const left = readdirSync(env.MILLRACE_DIR)
  if (left.length > 0) throw new Error(`domains are left: ${left.join(', ')}`)
}
