// The documents as a site with a search: `npm run docs:site` writes it to target/site. The generator is installed when it is not there; after
// that nothing is fetched. A link that leads nowhere fails it. What is on the site, and where: .vitepress/config.mjs.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const here = import.meta.dirname
const generator = join(here, 'node_modules', 'vitepress', 'bin', 'vitepress.js')

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
  if (status === 0) return
  console.error(`docs:site: ${command} ended with ${error?.message ?? status}`)
  process.exit(1)
}

if (!existsSync(generator)) run('npm', 'ci', '--prefix', here, '--ignore-scripts', '--no-audit', '--no-fund')
run(process.execPath, generator, 'build', here)
