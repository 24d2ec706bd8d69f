// A flow in a file: it is looked at for faults, drawn, and run by the command line in two processes, which tell what they have counted.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { drawFlow, parseFlow, type Report, validateFlow } from 'millrace/flow'

const LINES = 5000
const BAD = LINES / 100

const file = fileURLToPath(new URL('../../examples/flow-file.yaml', import.meta.url))
const text = readFileSync(file, 'utf8')
assert.deepEqual(await validateFlow(text, { base: file }), [])
const faults = await validateFlow(text.replace('to: count.in', 'to: cuont.in'), { base: file })
assert.match(
  faults.map(({ line, message }) => `${line}: ${message}`).join(),
  /26: there is no block of port "cuont.in"/,
)
assert.match(drawFlow(parseFlow(text), { format: 'mermaid' }), /^flowchart/m)

// npx millrace flow run flow-file.yaml --json
const millrace = fileURLToPath(new URL('../cli/main.js', import.meta.url))
const command = ['flow', 'run', file, '--json', '--domain', `example-flow-file-${process.pid}`]
const { status, stdout } = spawnSync(process.execPath, [millrace, ...command], { encoding: 'utf8' })
assert.equal(status, 0, stdout)
const reports = stdout
  .trim()
  .split('\n')
  .map((told) => JSON.parse(told) as Report & { process: string | null; lost: number })
assert.deepEqual(
  reports.map(({ process, lost }) => [process, lost]),
  [
    ['cpu', 0],
    [null, 0],
  ],
)
const blocks = reports.flatMap((report) => report.blocks)
const itemsOf = (name: string) => blocks.find((block) => block.name === name)!.items
assert.deepEqual(['lines', 'parse', 'pack', 'double', 'count'].map(itemsOf), [
  LINES,
  LINES,
  LINES - BAD,
  LINES - BAD,
  LINES - BAD,
])
assert.equal(blocks.find(({ name }) => name === 'parse')!.skipped, BAD)
console.log(`${LINES} lines, ${BAD} of them bad and skipped in process "cpu", the others counted behind a native block`)
