// A project somewhere else, and commands in it, with nothing at hand but Node.js.
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const PROGRAMS = join(import.meta.dirname, 'programs')
const execute = promisify(execFile)
const TIMEOUT_MS = 240_000

/** Makes a project in a new folder of `root`, with an empty home and a PATH on which there is only `node` and a shell. */
export function makeProject(root, node, files) {
  const folder = mkdtempSync(join(root, 'project-'))
  for (const name of ['home', 'bin', 'domains', 'app']) mkdirSync(join(folder, name), { mode: 0o700 })
  symlinkSync(node, join(folder, 'bin', 'node'))
  symlinkSync('/bin/sh', join(folder, 'bin', 'sh'))
  const app = join(folder, 'app')
  for (const name of readdirSync(PROGRAMS)) copyFileSync(join(PROGRAMS, name), join(app, name))
  const manifest = { name: 'app', version: '1.0.0', private: true }
  for (const [name, text] of Object.entries({ 'package.json': JSON.stringify(manifest), ...files })) {
    writeFileSync(join(app, name), text)
  }
  const env = {
    PATH: join(folder, 'bin'),
    HOME: join(folder, 'home'),
    TMPDIR: folder,
    MILLRACE_DIR: join(folder, 'domains'),
    CI: 'true',
    DO_NOT_TRACK: '1',
  }
  /** Runs a command in it and resolves to what it printed; one that fails rejects with that. */
  const run = async ([file, ...args]) => {
    if (file === undefined) throw new Error(`no executable for: ${args.join(' ')}`)
    try {
      const { stdout } = await execute(file, args, { cwd: app, env, timeout: TIMEOUT_MS })
      return stdout
    } catch (error) {
      throw new Error(`${error.message}\n${error.stdout}`, { cause: error })
    }
  }
  return { app, env, run }
}

/** Fails unless a program, run by `command`, says that it works. */
export async function assertWorks(project, command, by) {
  const printed = await project.run(command)
  if (printed.trim() !== `millrace works by ${by}`)
    throw new Error(`${command.join(' ')} printed ${JSON.stringify(printed)}`)
}
