import { readdirSync, readFileSync } from 'node:fs'
import type { Possessions } from './jobs.js'

/** What process `pid` has, seen from outside; null where there is no /proc, or the process has gone. */
export function possessionsOf(pid: number): Possessions | null {
  try {
    const kib = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
    return { rssBytes: kib * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
  } catch {
    return null
  }
}
