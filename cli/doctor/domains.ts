// The state of each domain.
import { type DomainEntry, MillraceError, type ReadableDomain, ShmObserver } from '../../index.js'
import { isKept, keptFor } from '../kept.js'
import { age, bytes, plural } from '../units.js'
import type { Finding } from './finding.js'

/** What is wrong with `domains`, or left of the dead. */
export function checkDomains(domains: readonly DomainEntry[], where: { directory?: string }): Finding[] {
  return domains.flatMap((entry) => {
    if (entry.error !== null) return [unreadable(entry)]
    return entry.alive === 0 ? [abandoned(entry)] : unrecovered(entry, where)
  })
}

/** Versions of the package that domains were made by, if there are several. */
export function checkVersions(domains: readonly DomainEntry[]): Finding[] {
  const versions = new Map<string, string[]>()
  for (const entry of domains) {
    if (entry.error === null) versions.set(entry.version, [...(versions.get(entry.version) ?? []), entry.domain])
  }
  if (versions.size < 2) return []
  const told = [...versions].map(([version, names]) => `${version} (${names.join(', ')})`)
  return [
    {
      level: 'note',
      about: 'versions',
      message: `domains were made by different versions of millrace: ${told.join(', ')}`,
      advice: 'their layouts agree; install one version everywhere before that ends',
    },
  ]
}

function unreadable({ domain, alive, memoryBytes, error }: DomainEntry): Finding {
  const { code, message } = error!
  const takes = memoryBytes === null ? '' : `; it takes ${bytes(memoryBytes)}`
  const version = code === 'ERR_MILLRACE_VERSION'
  const remove = `\`millrace clean ${domain}\` removes it with all that is in it`
  const removable = version ? `use the version that made it, or give it up: ${remove}` : remove
  return {
    level: 'problem',
    about: domain,
    message: `${message}${takes}`,
    advice: alive > 0 ? `${plural(alive, 'participant')} of it live: end them or upgrade them first` : removable,
  }
}

function abandoned(entry: ReadableDomain): Finding {
  const { domain, memoryBytes, usedBytes, createdAtMs } = entry
  const takes = `takes ${bytes(memoryBytes ?? usedBytes)}, is ${age(createdAtMs)} old`
  return isKept(entry)
    ? {
        level: 'note',
        about: domain,
        message: `nobody is in it, it ${takes}, and is kept for ${keptFor(entry)}`,
        advice: `whoever opens it goes on with it; if nobody will: \`millrace clean ${domain}\``,
      }
    : {
        level: 'problem',
        about: domain,
        message: `nobody alive is in it, and nobody can go on with it; it ${takes}`,
        advice: '`millrace clean` removes it, or whoever opens it next',
      }
}

function unrecovered({ domain }: ReadableDomain, where: { directory?: string }): Finding[] {
  try {
    using observer = ShmObserver.open(domain, where)
    const stalled = observer.stalled().map(({ slot, epoch, name, pid, phase }): Finding => {
      const advice = `let it go on (\`kill -CONT ${pid}\`), or end it: \`millrace evict ${domain} ${slot}.${epoch}\``
      const message = `participant ${slot}.${epoch} (${JSON.stringify(name)}, process ${pid}) is stopped, ${phase} an operation`
      return { level: 'problem', about: domain, message, advice }
    })
    const dead = observer.dead()
    const lost: Finding[] =
      dead.length === 0
        ? []
        : [
            {
              level: 'problem',
              about: domain,
              message: `${plural(dead.length, 'dead participant')} not recovered yet; what they hold is missing`,
              advice: `the living recover them within two seconds, unless one of them is stopped; then: \`millrace fsck ${domain}\``,
            },
          ]
    return [...stalled, ...lost]
  } catch (error) {
    // It has ended since it was listed.
    if (error instanceof MillraceError && error.code === 'ERR_MILLRACE_NOT_FOUND') return []
    throw error
  }
}
