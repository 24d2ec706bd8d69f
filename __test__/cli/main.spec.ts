import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import type { Finding } from '../../index.js'
import { millrace } from '../helpers/cli.js'
import { flipAllocated } from '../helpers/damage.js'
import { objectOf, testDomain } from '../helpers/domain.js'

const onLinux = process.platform === 'linux' ? test : test.skip

test('fsck of a clean domain exits with 0, and leaves it alone', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  shm.portQueue('queue', { capacity: 4 }).tryPut(Buffer.from('x'))
  const before = shm.registry.snapshot()
  const { code, stdout, stderr } = await millrace('fsck', domain.name)
  t.deepEqual([code, stderr], [0, ''])
  t.regex(stdout, new RegExp(`^${domain.name}: clean \\(1 participant, 1 queue, \\d+ buffers\\)\\n$`))
  t.deepEqual(shm.registry.snapshot(), before)
  const json = await millrace('fsck', domain.name, '--json')
  t.is(json.code, 0)
  t.deepEqual(JSON.parse(json.stdout), { domain: domain.name, findings: [] })
})

onLinux('fsck of a damaged domain exits with 1 and names the damage', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  shm.allocate(10).release()
  const buffer = shm.registry.snapshot().pools[0]!.buffers - 1
  const undo = flipAllocated(objectOf(shm, 'pool.0'), buffer)
  const [told, json] = [await millrace('fsck', domain.name), await millrace('fsck', domain.name, '--json')]
  undo()
  t.deepEqual([told.code, json.code], [1, 1])
  t.regex(told.stdout, new RegExp(`^leaked: buffer ${buffer} is allocated and nobody holds it.*\\n.*1 thing is off`))
  const { findings } = JSON.parse(json.stdout) as { findings: Finding[] }
  t.is(findings.length, 1)
  t.like(findings[0], { kind: 'leaked', buffer })
})

test('fsck finds the domain in another directory', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const directory = join(shm.directory, '..')
  t.is((await millrace('fsck', domain.name, '--directory', directory)).code, 0)
})

test('fsck of a domain that does not exist exits with 2 and makes none', async (t) => {
  const shm = testDomain(t).open()
  const name = `ava-${process.pid}-missing`
  const { code, stdout, stderr } = await millrace('fsck', name)
  t.deepEqual([code, stdout], [2, ''])
  t.regex(stderr, new RegExp(`^ERR_MILLRACE_NOT_FOUND: there is no domain "${name}"`))
  t.false(existsSync(join(shm.directory, '..', name)))
  t.false(existsSync(join(shm.directory, '..', `.${name}.lock`)))
})

const WRONG: [string[], RegExp][] = [
  [[], /^a command is missing/],
  [['nonsense'], /^unknown command "nonsense"/],
  [['flow', 'nonsense'], /^unknown command "flow nonsense"/],
  [['flow'], /^unknown command "flow"/],
  [['flow', 'run'], /Usage: millrace flow run <file>/],
  [['flow', 'run', 'none.yaml'], /^cannot read "none.yaml": ENOENT[^]*Usage: millrace flow run/],
  [['flow', 'run', 'x', '--timeout', 'soon'], /--timeout must be a number of milliseconds/],
  [['flow', 'graph', 'none.yaml', '--report', 'none.json'], /^cannot read "none.yaml"/],
  [['fsck'], /Usage: millrace fsck <domain>/],
  [['fsck', 'a', 'b'], /Usage: millrace fsck <domain>/],
  [['fsck', 'a', '--nonsense'], /--nonsense[^]*Usage: millrace fsck/],
  [['fsck', 'a', '--timeout', 'soon'], /--timeout must be a number of milliseconds, not "soon"/],
  [['fsck', 'no/name'], /^ERR_MILLRACE_INVALID_NAME/],
]

for (const [args, message] of WRONG) {
  test(`wrong usage exits with 2: millrace ${args.join(' ')}`, async (t) => {
    const { code, stdout, stderr } = await millrace(...args)
    t.deepEqual([code, stdout], [2, ''])
    t.regex(stderr, message)
  })
}

test('help exits with 0', async (t) => {
  const { code, stdout } = await millrace('--help')
  t.is(code, 0)
  t.regex(stdout, /millrace fsck <domain>/)
})
