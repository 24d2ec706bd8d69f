import { spawnSync } from 'node:child_process'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { RUNTIME_FLAGS } from '../helpers/cli.js'
import { leftovers, testDomain, type Trace } from '../helpers/domain.js'

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}.js`, import.meta.url))
/** `npm run test:runtimes` runs this on each. */
const runtime = basename(process.execPath)

test('processes that wait for each other', (t) => {
  const { name } = testDomain(t)
  const { status, signal, stderr } = spawnSync(process.execPath, [...RUNTIME_FLAGS, fixture('runtime'), name], {
    encoding: 'utf8',
    timeout: 20_000,
  })
  t.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' })
})

for (const [ending, code] of Object.entries({ close: 0, itself: 0, exit: 0, throw: 1, reject: 1 })) {
  test(`a process that ends by ${ending} leaves nothing behind`, (t) => {
    t.deepEqual(leftBy(t, 'come-and-go', ending), { code, left: [] })
  })
}

for (const [ending, code] of Object.entries({ close: 0, itself: 0, exit: 0, throw: 1, reject: 1, SIGINT: 0 })) {
  test(`a process with a flow that ends by ${ending} leaves nothing behind`, (t) => {
    t.deepEqual(leftBy(t, 'flow-end', ending), { code, left: [] })
  })
}

// Where nothing of a worker runs when others end it, it is as if it was killed.
const byOthers = runtime.startsWith('deno')
  ? []
  : runtime.startsWith('bun')
    ? ['terminate']
    : ['terminate', 'process-exit']
for (const ending of ['close', 'itself', 'exit', 'throw', ...byOthers]) {
  test(`a worker that ends by ${ending} leaves nothing behind`, (t) => {
    t.deepEqual(leftBy(t, 'come-and-go-worker', ending), { code: 0, left: [] })
  })
}

/** What a program that prints where its domain was has left of it, and how it ended. */
function leftBy(t: ExecutionContext, program: string, ending: string): { code: unknown; left: string[] } {
  const { name } = testDomain(t)
  const options = { encoding: 'utf8', timeout: 20_000 } as const
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [...RUNTIME_FLAGS, fixture(program), name, ending],
    options,
  )
  t.log(stderr)
  return { code: status ?? signal, left: leftovers(JSON.parse(stdout) as Trace) }
}
