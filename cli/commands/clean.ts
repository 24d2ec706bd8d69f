import { type DomainEntry, MillraceError, type Removal, ShmObserver } from '../../index.js'
import type { Command } from '../command.js'
import { isKept } from '../kept.js'
import { withProgress } from '../progress.js'
import { table } from '../table.js'
import { bytes, plural } from '../units.js'

/** What has become of a domain, or would. */
interface Cleaned extends Removal {
  domain: string
}

/** Removes what the dead have left. */
export const clean: Command = {
  name: 'clean',
  parameters: ['[domain…]'],
  options: { 'dry-run': { summary: 'only say what would be removed' } },
  summary:
    'remove domains that nobody alive is in; those that persist, have work queues or cannot be read only when named',
  async run({ positionals, where, json, flags }) {
    const there = ShmObserver.list(where)
    const asked = positionals.map((name) => entryOf(there, name))
    const kept = asked.length > 0
    const remove = flags.has('dry-run') ? foresee : removeFrom(where)
    const entries = kept ? asked : there.filter(({ alive }) => alive === 0)
    const cleaned: Cleaned[] = []
    for (const entry of entries) {
      // One by one: removing is a matter of milliseconds, and an error says how far it came.
      const removing = Promise.resolve(remove(entry, kept))
      const removal = await withProgress(() => `clean: ${cleaned.length} of ${entries.length} domains`, removing)
      cleaned.push({ domain: entry.domain, ...removal })
    }
    const dryRun = flags.has('dry-run')
    console.log(json ? JSON.stringify({ dryRun, domains: cleaned }, undefined, 2) : told(cleaned, dryRun))
    return cleaned.some(({ outcome }) => outcome === 'in-use') ? 1 : 0
  },
}

type Remove = (entry: DomainEntry, kept: boolean) => Removal | Promise<Removal>

function removeFrom(where: { directory?: string }): Remove {
  return ({ domain }, kept) => ShmObserver.remove(domain, { ...where, kept })
}

function foresee(entry: DomainEntry, kept: boolean): Removal {
  if (entry.alive > 0) return { outcome: 'in-use', by: plural(entry.alive, 'participant') }
  return kept || !isKept(entry) ? { outcome: 'removed', memoryBytes: entry.memoryBytes } : { outcome: 'kept' }
}

function entryOf(there: DomainEntry[], name: string): DomainEntry {
  const entry = there.find(({ domain }) => domain === name)
  if (entry !== undefined) return entry
  const names = there.map(({ domain }) => domain).join(', ')
  const message = `there is no domain ${JSON.stringify(name)}; there are ${names || 'none'}`
  throw new MillraceError('ERR_MILLRACE_NOT_FOUND', message)
}

function told(cleaned: Cleaned[], dryRun: boolean): string {
  const removed = cleaned.filter(({ outcome }) => outcome === 'removed')
  const freed = removed.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0), 0)
  const [would, be] = dryRun ? (['would be removed', 'would be freed'] as const) : (['removed', 'freed'] as const)
  const lines = table(cleaned, [
    ['domain', ({ domain }) => domain],
    ['outcome', ({ outcome }) => (outcome === 'removed' ? would : outcome)],
    ['memory', ({ memoryBytes }) => (typeof memoryBytes === 'number' ? bytes(memoryBytes) : null)],
    ['why', why],
  ])
  return [...lines, `${plural(removed.length, 'domain')} ${would}, ${bytes(freed)} ${be}`].join('\n')
}

function why({ domain, outcome, by }: Cleaned): string {
  if (outcome === 'in-use') return `by ${by}`
  return outcome === 'kept'
    ? `persists, has work queues or cannot be read: \`millrace clean ${domain}\` removes it`
    : ''
}
