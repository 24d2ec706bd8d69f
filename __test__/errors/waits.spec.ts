// What waits are told that end without what they waited for.
import test from 'ava'
import type { MillraceError } from '../../index.js'
import { openDomain, openQueue } from '../helpers/domain.js'

async function receiveHere(wait: () => Promise<unknown>): Promise<unknown> {
  return await wait()
}

test('a wait that fails by its timer says where it began', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 1 })
  await queue.put(new Uint8Array(1))
  const service = shm.service('service')
  const empty = shm.portQueue('empty', {})
  for (const wait of [
    () => empty.receive({ timeout: 5 }),
    () => empty.get({ timeout: 5 }),
    () => queue.put(new Uint8Array(1), { timeout: 5 }),
    () => service.request(new Uint8Array(1), { timeout: 5 }),
  ]) {
    const error = await t.throwsAsync<MillraceError>(receiveHere(wait), { code: 'ERR_MILLRACE_TIMEOUT' })
    t.true(error.stack!.startsWith(`MillraceError: ${error.message}\n    at `), error.stack)
    t.true(error.stack!.includes('at async receiveHere'), error.stack)
  }
})

test('close() says how many calls waited', async (t) => {
  const { shm, queue } = openQueue(t, { capacity: 1 })
  await queue.put(new Uint8Array(1))
  const waits = [1, 2, 3].map(() => queue.put(new Uint8Array(1)))
  waits.push(shm.portQueue('empty', {}).get() as Promise<never>)
  shm.close()
  const message = `the ShmManager of domain "${shm.domain}" is closed; 4 calls waited when it was closed: await them first`
  for (const wait of waits) await t.throwsAsync(wait, { code: 'ERR_MILLRACE_CLOSED', message })
})

test('close() without waits has nothing to add', (t) => {
  const shm = openDomain(t)
  shm.close()
  const message = `the ShmManager of domain "${shm.domain}" is closed`
  t.throws(() => shm.allocate(1), { code: 'ERR_MILLRACE_CLOSED', message })
})
