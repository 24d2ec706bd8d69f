import { spawnSync } from 'node:child_process'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { testDomain } from '../helpers/domain.js'

const program = fileURLToPath(new URL('../fixtures/runtime.js', import.meta.url))
// Other runtimes, as paths separated by colons; see `npm run test:runtimes`.
const others = (process.env['MILLRACE_TEST_RUNTIMES'] ?? '').split(':').filter((path) => path !== '')

for (const runtime of [process.execPath, ...others]) {
  test(`processes that wait for each other: ${basename(runtime)}`, (t) => {
    const { name } = testDomain(t)
    const { status, signal, stderr } = spawnSync(runtime, [program, name], { encoding: 'utf8', timeout: 20_000 })
    t.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' })
  })
}
