import { setImmediate } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { SageQueue, type SageQueueOptions, ShmManager } from '../../index.js'
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

/** A queue in a namespace of the test's own, closed when the test ends. */
export function openSage<T = unknown>(t: ExecutionContext, options: SageQueueOptions<T> = {}): SageQueue<T> {
  const queue = new SageQueue<T>('jobs', { namespace: testNamespace(t), ...options })
  t.teardown(() => queue.close())
  return queue
}

/** Another end of `queue`. */
export function another<T>(t: ExecutionContext, queue: SageQueue<T>, options: SageQueueOptions<T> = {}): SageQueue<T> {
  const end = new SageQueue<T>(queue.name, { namespace: queue.namespace, ...options })
  t.teardown(() => end.close())
  return end
}

/** Whether `promise` is still open after the event loop has turned a few times. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  const settle = () => (pending = false)
  void promise.then(settle, settle)
  for (let i = 0; i < 20; i++) await setImmediate()
  return pending
}
