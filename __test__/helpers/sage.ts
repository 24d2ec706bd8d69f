import type { ExecutionContext } from 'ava'
import { ShmManager } from '../../index.js'
import { leftovers, traceOf } from './domain.js'

let namespaces = 0

/** A namespace of the test's own. When the test ends nothing of it may be left. */
export function testNamespace(t: ExecutionContext): string {
  const namespace = `ava-${process.pid}-${namespaces++}`
  t.timeout(60_000)
  t.teardown(() => {
    const trace = (() => {
      using shm = ShmManager.open(`sage.${namespace}`)
      if (shm.registry.snapshot().participants.length > 1) throw new Error(`test '${t.title}' left a queue open`)
      return traceOf(shm)
    })()
    const left = leftovers(trace)
    if (left.length > 0) throw new Error(`test '${t.title}' left behind: ${left.join(', ')}`)
  })
  return namespace
}
