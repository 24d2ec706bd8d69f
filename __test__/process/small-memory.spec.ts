// A full /dev/shm: errors that say how much is needed and what to do, and never a SIGBUS.
import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import type { Shortage } from '../fixtures/small-memory.js'

const program = fileURLToPath(new URL('../fixtures/small-memory.js', import.meta.url))

/** Runs a command in a mount namespace of its own, as the superuser or as one of a user namespace. */
const unshare = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user']
const mount = (size: string) => `mount -t tmpfs -o size=${size},mode=1777 tmpfs /dev/shm`
const permitted = spawnSync('unshare', [...unshare, 'sh', '-c', mount('1m')]).status === 0
const inSmallMemory = permitted ? test.serial : test.serial.skip
const title = (size: string) => `/dev/shm of ${size}${permitted ? '' : ' (mounting a small one is not permitted here)'}`

async function run(size: string): Promise<Shortage> {
  const script = `${mount(size)} && exec "$0" "$1"`
  const env = { ...process.env }
  delete env['MILLRACE_DIR']
  delete env['XDG_RUNTIME_DIR']
  const args = [...unshare, 'sh', '-c', script, process.execPath, program]
  const { stdout } = await promisify(execFile)('unshare', args, { env })
  return JSON.parse(stdout) as Shortage
}

function isExplained(t: ExecutionContext, failure: Shortage['start']): void {
  t.is(failure?.code, 'ERR_MILLRACE_NO_SPACE')
  t.regex(failure!.message, /\/dev\/shm.* [0-9]+ .*--shm-size/)
}

for (const size of ['16k', '64k']) {
  inSmallMemory(title(size), async (t) => {
    t.timeout(30_000)
    const { start, left } = await run(size)
    isExplained(t, start)
    t.deepEqual(left, [])
  })
}

for (const size of ['1m', '4m', '16m']) {
  inSmallMemory(title(size), async (t) => {
    t.timeout(30_000)
    const { start, allocate, queue, batch, lost, puts, leaked, waited, works, left } = await run(size)
    t.is(start, undefined)
    isExplained(t, allocate)
    isExplained(t, queue)
    isExplained(t, batch)
    t.is(lost, 0, 'a batch that cannot be had takes nothing')
    isExplained(t, puts)
    t.is(leaked, 0, 'what putMany could not send is free')
    t.true(waited)
    t.true(works)
    t.deepEqual(left, [])
  })
}
