// Lints .github: `npm run lint:workflows`, by actionlint, which Go builds, and zizmor, which comes by pip. Neither is a package of npm.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './release/targets.mjs'

const ACTIONLINT = 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12'
const ZIZMOR = 'zizmor==1.32.0'

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' })
  if (status === 0) return
  console.error(`${command} ${args.join(' ')}: ${error?.message ?? `status ${status}`}`)
  process.exit(1)
}

const environment = join(ROOT, 'target', ZIZMOR)
const zizmor = join(environment, 'bin', 'zizmor')
if (!existsSync(zizmor)) {
  run('python3', '-m', 'venv', environment)
  run(join(environment, 'bin', 'pip'), 'install', '--quiet', '--disable-pip-version-check', ZIZMOR)
}
run('go', 'run', ACTIONLINT)
run(zizmor, '--offline', '--quiet', '.github')
console.log('actionlint and zizmor have nothing to say')
