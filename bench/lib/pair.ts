import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Transport } from '../peers/transport.js'
import { Program } from './control.js'
import type { Sample } from './result.js'
import type { Contender, Settings } from './row.js'
import type { Work } from './work.js'

/** `transport` doing `work` between a process and another one (or a worker thread), both started anew for each round. */
export function pair(transport: Transport, work: Work): Contender {
  return {
    name: transport.name,
    ...(transport.absent && { absent: () => transport.absent!() }),
    measure: (settings) => inFolder((folder) => runPair(transport, work, folder, settings)),
  }
}

/** Calls `use` with an empty folder of its own, and removes that. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runPair({ name, environment }: Transport, work: Work, folder: string, settings: Settings) {
  const near = Program.process('near', { name, folder, work }, undefined, environment)
  const { warmupMs, timedMs } = settings
  const sample = await near.request<Sample>('measure', { warmupMs, timedMs })
  await near.stop()
  return sample
}
