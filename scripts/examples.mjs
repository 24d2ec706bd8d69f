// Runs every example, or those named: `npm run examples [-- ticks cluster]`. Each verifies what it did; one that fails fails all.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const TIMEOUT_MS = 120_000
const folder = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist', 'examples')
const all = readdirSync(folder)
  .filter((file) => file.endsWith('.js'))
  .map((file) => file.slice(0, -'.js'.length))
const names = process.argv.length > 2 ? process.argv.slice(2) : all
const failed = []
for (const name of names) {
  console.log(`\n${name}`)
  const { status, signal, error } = spawnSync(process.execPath, [join(folder, `${name}.js`)], {
    stdio: 'inherit',
    timeout: TIMEOUT_MS,
  })
  if (status === 0) continue
  failed.push(name)
  console.error(`${name} failed: ${error?.message ?? signal ?? `code ${status}`}`)
}
console.log(`\n${names.length - failed.length} of ${names.length} examples did what they say`)
process.exitCode = failed.length === 0 && names.length > 0 ? 0 : 1
