// Next.js: builds an application, moves what it deploys elsewhere, starts that and asks it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { assertNothingLeft, installPackages, writePrograms } from './pages.mjs'

const LAYOUT = join(import.meta.dirname, 'programs-next')

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Resolves when the process has printed `word`; rejects when it ends before. */
async function printed(child, word) {
  let text = ''
  for await (const chunk of child.stdout) {
    text += chunk
    if (text.includes(word)) return
  }
  throw new Error(`it ended, having printed: ${text}`)
}

export async function next(project) {
  cpSync(LAYOUT, project.app, { recursive: true })
  writePrograms('integrations/nextjs.md', project.app)
  await installPackages(project, 'next@16.4.6', 'react@19', 'react-dom@19')
  await project.run([process.execPath, join(project.app, 'node_modules', 'next', 'dist', 'bin', 'next'), 'build'])
  const deployed = join(project.app, '..', 'deployed')
  cpSync(join(project.app, '.next', 'standalone'), deployed, { recursive: true })
  // What was not deployed is not found by way of its parent folder either.
  rmSync(join(project.app, 'node_modules'), { recursive: true })
  const port = await freePort()
  const env = { ...project.env, PORT: String(port), HOSTNAME: '127.0.0.1' }
  const server = spawn(process.execPath, ['server.js'], { cwd: deployed, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(server, 'exit')
  try {
    await printed(server, 'Ready')
    const response = await fetch(`http://127.0.0.1:${port}/api/check`)
    const text = await response.text()
    if (text !== 'millrace works by Next.js') throw new Error(`it answered ${response.status}: ${text}`)
  } finally {
    server.kill()
    await ended
  }
  assertNothingLeft(project)
}
