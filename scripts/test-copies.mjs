// Tests, as `npm run test:copies`, what carries messages where the runtime has no external ArrayBuffers: `COPIES` in lib/native/native.ts.
// Arguments go to AVA. Build before.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const ava = join(root, 'node_modules', 'ava', 'entrypoints', 'cli.mjs')
const specs = [
  'arrow',
  ...['codec', 'ingest', 'memory', 'queue', 'sage', 'service', 'session', 'topic'].map((room) => `${room}/*`),
]
const { status } = spawnSync(
  process.execPath,
  [ava, ...process.argv.slice(2), ...specs.map((name) => `dist/__test__/${name}.spec.js`)],
  { cwd: root, env: { ...process.env, MILLRACE_EXTERNAL_BUFFERS: '0' }, stdio: 'inherit' },
)
process.exitCode = status ?? 1
