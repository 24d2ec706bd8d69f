// SageQueues that are made by one process, used by two, and destroyed by the other, again and again.
import { setImmediate } from 'node:timers/promises'
import { codeOf } from '../../__test__/fixtures/child.js'
import type { Ends } from '../lib/end.js'
import type { Fault, Lives } from '../lib/jobs.js'

/** Values that are put into each, and those that are got before it is destroyed. */
const PUT = 5
const GOT = 4

/** Makes queues, tells their names in queue `names`, and waits until somebody has destroyed each. */
export async function make(ends: Ends, names: string, maker: number, goesOn: () => boolean): Promise<Lives> {
  using told = ends.sage<string>(names)
  const problems: string[] = []
  let made = 0
  while (goesOn()) {
    const name = `life-${maker}-${made++}`
    using queue = ends.sage<string>(name, PUT)
    for (let i = 0; i < PUT; i++) queue.putNowait(`${name}-${i}`)
    if (!queue.full()) problems.push(`${name} is not full`)
    await told.put(name)
    // One value is never finished.
    const code = await codeOf(() => queue.join())
    if (code !== 'ERR_MILLRACE_DESTROYED') problems.push(`${name} ended with ${code}`)
    await setImmediate()
  }
  return { made, destroyed: 0, values: 0, problems }
}

/** Gets values of the queues that `names` brings, and destroys those; ends when that is shut. */
export async function destroy(
  ends: Ends,
  names: AsyncIterable<string>,
  done: () => void,
  fault: Fault | undefined,
): Promise<Lives> {
  const problems: string[] = []
  let destroyed = 0
  let values = 0
  for await (const name of names) {
    using queue = ends.sage<string>(name)
    for (let i = 0; i < GOT; i++) {
      const value = await queue.get()
      if (value === `${name}-${i}`) values++
      else problems.push(`${name} had ${value}, not ${name}-${i}`)
      queue.taskDone()
    }
    queue.destroy()
    if (destroyed === GOT && fault === 'lose') values--
    destroyed++
    done()
  }
  return { made: 0, destroyed, values, problems }
}

export const VALUES_OF_A_LIFE = GOT
