import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Collects all garbage, by whatever the runtime has for that. */
export const collectGarbage = find()

function find(): () => void {
  const { Bun: bun } = globalThis as { Bun?: { gc(waits: boolean): void } }
  if (bun !== undefined) return () => bun.gc(true)
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}
