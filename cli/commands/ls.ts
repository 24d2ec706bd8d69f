import { type DomainEntry, ShmObserver } from '../../index.js'
import type { Command } from '../command.js'
import { keptFor } from '../kept.js'
import { type Column, table } from '../table.js'
import { age, bytes } from '../units.js'

/** Lists all domains. */
export const ls: Command = {
  name: 'ls',
  parameters: [],
  options: {},
  summary: 'list all domains: of the living, of the dead, and those that cannot be read (then the exit code is 1)',
  run({ where, json }) {
    const domains = ShmObserver.list(where)
    console.log(json ? JSON.stringify({ domains }, undefined, 2) : told(domains))
    return domains.every(({ error }) => error === null) ? 0 : 1
  },
}

const COLUMNS: readonly Column<DomainEntry>[] = [
  ['domain', ({ domain }) => domain],
  ['state', stateOf],
  ['alive', ({ alive }) => alive],
  ['dead', (entry) => (entry.error === null ? entry.dead : null)],
  ['used', (entry) => (entry.error === null ? bytes(entry.usedBytes) : null)],
  ['budget', (entry) => (entry.error === null ? bytes(entry.maxBytes) : null)],
  ['memory', ({ memoryBytes }) => (memoryBytes === null ? null : bytes(memoryBytes))],
  ['age', (entry) => (entry.error === null ? age(entry.createdAtMs) : null)],
  ['kept for', keptFor],
  ['version', (entry) => (entry.error === null ? entry.version : null)],
]

function told(domains: DomainEntry[]): string {
  if (domains.length === 0) return 'no domains'
  const errors = domains.flatMap(({ domain, error }) => (error === null ? [] : [`${domain}: ${error.message}`]))
  return [...table(domains, COLUMNS), ...errors].join('\n')
}

function stateOf({ alive, error }: DomainEntry): string {
  if (error !== null) return 'unreadable'
  return alive > 0 ? 'in use' : 'nobody in it'
}
