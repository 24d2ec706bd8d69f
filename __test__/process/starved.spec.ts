import test from 'ava'
import { testDomain } from '../helpers/domain.js'
import { startChild } from './children.js'

const onLinux = process.platform === 'linux' ? test : test.skip

onLinux('a wait for a queue that cannot be attached meets the error itself, and holds up nobody else', async (t) => {
  const domain = testDomain(t)
  const shm = domain.open()
  const good = shm.portQueue('good', {})
  await good.put(Buffer.from('first'))
  const execArgv = ['-c', 'ulimit -n 128; exec "$MILLRACE_TEST_NODE" "$0" "$@"']
  const env = { ...process.env, MILLRACE_TEST_NODE: process.execPath }
  const child = await startChild(
    t,
    'starved',
    { domain: domain.name },
    { execPath: '/bin/sh', execArgv, env },
  ).started()
  // Its ring lies in a segment of its own, which the child has not mapped.
  shm.portQueue('late', { capacity: 65_536 })
  await good.put(Buffer.from('second'))
  t.is(await child.hear(), 'second')
  t.is(await child.hear(), 'ERR_MILLRACE_LIMIT')
  await child.done()
})
