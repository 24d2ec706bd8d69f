import { createRequire } from 'node:module'
import test from 'ava'
import type * as millrace from '../../index.js'
import { testDomain } from '../helpers/domain.js'

test('the ESM and the CommonJS copy work side by side in one thread', (t) => {
  const domain = testDomain(t)
  const a = domain.open()
  const copy = createRequire(import.meta.url)('millrace') as typeof millrace
  using b = copy.ShmManager.open(domain.name)
  const [mine, theirs] = [a.portQueue('queue', { codec: 'json' }), b.portQueue('queue', { codec: 'json' })]
  for (let i = 1; i <= 10; i++) {
    t.true(mine.tryPut(i))
    t.is(theirs.tryGet(), i)
    t.true(theirs.tryPut(-i))
    t.is(mine.tryGet(), -i)
  }
})
