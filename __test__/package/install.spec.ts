import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'ava'
import { ROOT } from '../helpers/documents.js'

// The whole of it is `npm run test:install`.
test('packed, served and installed by npm, without Rust, it works from ESM and CommonJS', (t) => {
  const args = [join(ROOT, 'scripts/install/run.mjs'), '--short']
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  t.regex(stdout, /^1 passed, 0 failed$/m)
})
